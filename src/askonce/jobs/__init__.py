"""The batch lane: requests that may wait for hours, at the provider's price for that.

`desk` is what callers meet, `document` what they are shown, `news` tells those who wait. `engine` runs everything else:
`carrier` takes one batch to a provider and back, `sender` asks one by one where there is no Batch API or no time,
`results` makes answers of what comes back, `courier` tells webhooks.

Nothing here remembers what the store doesn't know: after a kill at any point, the same steps are taken again, and a
step that was taken already changes nothing.
"""
