// What makes the pages of the Web Admin more convenient. Each of them works without it.
"use strict";

// Markup comes from our own pages alone.
const trusted = window.trustedTypes ? trustedTypes.createPolicy("fragment", { createHTML: (s) => s }) : { createHTML: (s) => s };

// A part of a page that changes by itself is read anew; it does not count as use of the session.
const live = document.getElementById("live");
if (live && live.dataset.refresh) {
  const every = Number(live.dataset.refresh) * 1000;
  let ended = live.hasAttribute("data-done");
  const look = async () => {
    // Nothing is taken from under somebody who is about to use it, and nobody looks at a page in the background.
    if (!document.hidden && !live.contains(document.activeElement)) {
      try {
        const answer = await fetch(location.href, { headers: { "Rotunda-Background": "1" }, redirect: "error" });
        if (answer.status === 401) {
          location.reload();
          return;
        }
        const page = new DOMParser().parseFromString(trusted.createHTML(await answer.text()), "text/html");
        const fresh = page.getElementById("live");
        if (answer.ok && fresh && fresh.innerHTML !== live.innerHTML) {
          live.replaceChildren(...fresh.childNodes);
          if (fresh.hasAttribute("aria-busy")) live.setAttribute("aria-busy", fresh.getAttribute("aria-busy"));
        }
        ended = Boolean(fresh && fresh.hasAttribute("data-done"));
      } catch {
        // The next look may find the server again.
      }
    }
    if (!ended) setTimeout(look, every);
  };
  if (!ended) setTimeout(look, every);
}

// Lists become narrower as one types.
for (const input of document.querySelectorAll("[data-narrow]")) {
  const items = [...document.querySelectorAll(input.dataset.narrow)];
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    for (const part of document.querySelectorAll("section.block")) part.hidden = !part.querySelector("li:not([hidden])");
  });
}

// Delete buttons can be used once "Allow delete" is ticked.
for (const form of document.querySelectorAll("form")) {
  const allow = form.querySelector("[data-allow]");
  if (!allow) continue;
  const follow = () => {
    for (const button of form.querySelectorAll("[data-needs-allow]")) button.disabled = !allow.checked;
  };
  allow.addEventListener("change", follow);
  follow();
}

// Nothing that was typed is lost by a slip.
let typed = false;
for (const form of document.querySelectorAll("form[data-guard]")) {
  form.addEventListener("input", () => { typed = true; });
  form.addEventListener("submit", () => { typed = false; });
}
addEventListener("beforeunload", (event) => {
  if (typed) event.preventDefault();
});

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
  });
}

// Escape closes the menu of small screens.
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && location.hash === "#menu") location.hash = "#main";
});
