// validatorUrl is null because the page talks to nobody but the service.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});

// Swagger UI leaves these without a name, or out of reach of the keyboard.
const missing = [
  [".copy-to-clipboard button", "aria-label", "Copy"],
  ["#servers", "aria-label", "Server"],
  [".close-modal", "aria-label", "Close"],
  ["textarea:not([aria-label])", "aria-label", "Body"],
  [".parameters", "aria-label", "Parameters"],
  [".responses-table", "aria-label", "Responses"],
  [".live-responses-table", "aria-label", "Server response"],
  ["#swagger-ui svg", "aria-hidden", "true"],
  [".curl, .microlight, pre", "tabindex", "0"],
];
new MutationObserver(() => {
  for (const [selector, name, value] of missing) {
    for (const node of document.querySelectorAll(selector)) node.setAttribute(name, value);
  }
  for (const node of document.querySelectorAll(".opblock-tag .expand-operation")) {
    node.ariaLabel = node.title = `Operations of ${node.closest(".opblock-tag").dataset.tag}`;
  }
  // these have a name that differs from their text
  for (const node of document.querySelectorAll(".modal-btn[aria-label]")) node.removeAttribute("aria-label");
}).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
