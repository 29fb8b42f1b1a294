// Light, dark, or as the system has it; kept by this browser alone.

import { byId } from "./dom.js";

const THEME = "askonce-theme";

export function showTheme() {
  const set = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  const kept = localStorage.getItem(THEME) ?? "auto";
  for (const input of byId("themes").querySelectorAll("input")) {
    input.checked = input.value === kept;
    input.addEventListener("change", () => {
      localStorage.setItem(THEME, input.value);
      set(input.value);
    });
  }
  set(kept);
}
