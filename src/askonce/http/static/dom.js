// Elements, made and kept up to date. What comes from outside only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with properties (`class`, `text`, `on…`, or attributes) and children. */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sets a text only where it differs: what hasn't changed costs no layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The same of an attribute; null takes it away. */
export function mark(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** The same of a style property. */
export function style(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

/**
 * Keeps a list's elements in step with items: each element stays its item's, so that focus stays where it is.
 * `create(item)` makes an element, `update(element, item)` brings it up to date. Keys may be callers' words: two items
 * of one key are two elements.
 */
export function keep(list, items, key, create, update) {
  const known = new Map();
  const gone = new Set(list.children);
  for (const element of gone) known.set(element.dataset.key, element);
  let at = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (element === undefined) {
      element = create(item);
      element.dataset.key = name;
    }
    known.delete(name);
    gone.delete(element);
    update(element, item);
    if (element === at) at = at.nextElementSibling;
    else list.insertBefore(element, at);
  }
  for (const element of gone) element.remove();
}

/** An element's part of a class, found once. */
export function part(element, name) {
  element.parts ??= {};
  return (element.parts[name] ??= element.querySelector(`.${name}`));
}
