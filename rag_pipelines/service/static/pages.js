// Feedback without leaving the page. Without this file its forms are sent, and answered with a page of their own.
"use strict";

for (const form of document.querySelectorAll("form.useful")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = form.querySelector(".said");
    const sent = new URLSearchParams(new FormData(form, event.submitter));
    try {
      const answer = await fetch(form.action, { method: "POST", body: sent });
      said.textContent = answer.ok ? "Thank you, that is kept." : "That could not be kept.";
    } catch {
      said.textContent = "That could not be sent.";
    }
  });
}

const span = document.getElementById("span");
if (span !== null && location.hash === "#span") {
  span.focus({ preventScroll: true });
  span.scrollIntoView({ block: "center" });
}
