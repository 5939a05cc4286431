// The few things HTML cannot do. Every page works without this file.
(() => {
  "use strict";

  // A copy button is hidden until we know that it works: <button hidden data-copy="link" data-done="Copied">Copy link</button>
  const showCopyButtons = (root) => {
    if (!navigator.clipboard) return;
    root.querySelectorAll("button[data-copy]").forEach((button) => { button.hidden = false; });
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
    } catch {
      source.focus();
      if (source.select) source.select();
      return;
    }
    button.setAttribute("aria-live", "polite");
    button.textContent = button.dataset.done;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  // Printing is the browser's own: the button only saves the way through its menu.
  const showPrintButtons = (root) => {
    root.querySelectorAll("button[data-print]").forEach((button) => { button.hidden = false; });
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-print]");
    if (!button) return;
    const menu = button.closest("details");
    if (menu) menu.open = false;
    window.print();
  });

  // A date field follows the browser's own language, so its hint says the day in words: <input type="date" data-say-day>
  document.addEventListener("change", (event) => {
    const field = event.target;
    const hint = document.getElementById(`${field.id}-hint`);
    if (!hint || !("sayDay" in field.dataset) || Number.isNaN(field.valueAsNumber)) return;
    const { lang } = document.documentElement;
    const formats = [{ weekday: "long" }, { day: "numeric" }, { month: "long" }, { year: "numeric" }];
    const [weekday, day, month, year] = formats.map((format) => new Date(field.valueAsNumber).toLocaleDateString(lang, { ...format, timeZone: "UTC" }));
    hint.textContent = lang === "fil" ? `${weekday}, ${month} ${day}, ${year}` : `${weekday} ${day} ${month} ${year}`;
  });

  document.addEventListener("htmx:load", (event) => showPrintButtons(event.target));
  showPrintButtons(document);
  document.addEventListener("htmx:load", (event) => showCopyButtons(event.target));
  showCopyButtons(document);
})();
