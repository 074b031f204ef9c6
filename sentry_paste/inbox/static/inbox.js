// Live updates and shortcuts. Without scripts the pages work by links and reloads.
"use strict";

(() => {
  const NEXT = 2000; // ms between updates of the list
  const SOON = 300; // ms, while the server is still reading files
  const LATER = 10000; // ms, while the server does not answer

  // Relative times: the server renders them once, and the script keeps them current.

  function ago(then) {
    const seconds = (Date.now() - then) / 1000;
    if (seconds < 2) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return null; // keep the server's date
  }

  function updateTimes() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (text !== null && text !== time.textContent) time.textContent = text;
    }
  }

  // The list: load it again when it has changed.

  let waits = 0;

  function ids(live) {
    return new Set([...live.querySelectorAll(".row")].map((row) => row.id));
  }

  function put(fetched, live) {
    const before = ids(live);
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceWith(fetched);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const fresh = [...fetched.querySelectorAll(".row")].filter((row) => !before.has(row.id));
    // On an empty list, or while the server is still reading files, new rows are not highlighted.
    if (!live.dataset.unread && before.size) {
      for (const row of fresh) row.classList.add("fresh");
      if (fresh.length) {
        document.getElementById("news").textContent = `${fresh.length} new: ${fresh[0].querySelector(".row-title").textContent.trim()}`;
      }
    }
  }

  async function look() {
    waits = 0;
    const live = document.getElementById("live");
    if (!live || document.hidden) return;
    let next = NEXT;
    try {
      const answer = await fetch(live.dataset.src, {
        cache: "no-store",
        headers: { "If-None-Match": `"${live.dataset.tag}"` },
      });
      if (answer.status === 200) {
        const text = await answer.text();
        const fetched = new DOMParser().parseFromString(text, "text/html").getElementById("live");
        if (fetched) put(document.importNode(fetched, true), live);
      }
      live.removeAttribute("data-gone");
    } catch {
      live.setAttribute("data-gone", "");
      next = LATER;
    }
    wait(document.getElementById("live").dataset.unread ? SOON : next);
  }

  function wait(time) {
    clearTimeout(waits);
    waits = setTimeout(look, time);
  }

  // The trace: show the details of a span next to the waterfall, without leaving the page.

  // On a phone the details of a span cover the lower half of the page: scroll its bar into view.
  function uncover(bar) {
    const span = document.getElementById("span").getBoundingClientRect();
    const covered = bar ? bar.getBoundingClientRect().bottom - span.top : 0;
    if (bar && span.left < bar.getBoundingClientRect().right && covered > 0) window.scrollBy(0, covered + 8);
  }

  async function choose(address, { isBack = false, isFocused = false } = {}) {
    const split = document.querySelector("[data-swap]");
    const answer = await fetch(address, { cache: "no-store" });
    const fetched = new DOMParser().parseFromString(await answer.text(), "text/html");
    const span = fetched.getElementById("span");
    if (!answer.ok || !span) {
      location.assign(address);
      return;
    }
    document.getElementById("span").replaceWith(document.importNode(span, true));
    for (const bar of split.querySelectorAll("a.bar")) {
      const other = fetched.getElementById(bar.id);
      if (other?.getAttribute("aria-current")) bar.setAttribute("aria-current", "true");
      else bar.removeAttribute("aria-current");
    }
    if (!isBack) history.pushState(null, "", address);
    uncover(split.querySelector("a.bar[aria-current]"));
    if (isFocused) document.getElementById("span").focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a");
    const split = link?.closest("[data-swap]");
    if (!split || !(link.matches(".bar") || link.closest(".span-close"))) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    const address = new URL(href, location.href);
    const isClose = !link.matches(".bar");
    // After the keyboard (detail is 0), the focus moves to where the link leads, as it does without scripts.
    choose(address, { isFocused: !isClose && !event.detail }).then(() => {
      if (isClose) document.querySelector(address.hash)?.focus();
    }, () => location.assign(address));
  });

  window.addEventListener("popstate", () => {
    if (document.querySelector("[data-swap]")) choose(location.href, { isBack: true }).catch(() => location.reload());
  });

  document.addEventListener("keydown", (event) => {
    const close = event.key === "Escape" && document.querySelector("[data-swap] .span-close a");
    if (close) close.click();
    if (event.key !== "/" || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const field = document.querySelector("[data-shortcut='/']");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && document.getElementById("live")) wait(0);
  });

  setInterval(updateTimes, 5000);
  const live = document.getElementById("live");
  if (live) wait(live.dataset.unread ? SOON : NEXT);
})();
