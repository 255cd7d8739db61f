// The player follows the curves, and the curves the player. No library, no request.
(() => {
  const player = () => document.querySelector("#el-player video, #el-player audio");
  const seek = (seconds) => {
    const found = player();
    if (!found) return;
    found.currentTime = Math.max(0, seconds);
    found.dispatchEvent(new Event("timeupdate"));
  };
  document.addEventListener("click", (event) => {
    const moment = event.target.closest?.("[data-seek]");
    if (moment) return seek(Number(moment.dataset.seek));
    const curve = event.target.closest?.(".el-result .strips svg");
    if (!curve) return;
    const { start, end } = curve.closest(".strips").dataset;
    const box = curve.getBoundingClientRect();
    seek(Number(start) + ((event.clientX - box.left) / box.width) * (Number(end) - Number(start)));
  });
  document.addEventListener("keydown", (event) => {
    const strips = event.target.closest?.(".el-result .strips");
    const step = { ArrowRight: 0.5, ArrowUp: 0.5, ArrowLeft: -0.5, ArrowDown: -0.5 }[event.key];
    if (!strips || !step || !player()) return;
    event.preventDefault();
    seek(player().currentTime + step);
  });
  // whoever goes to another tab does not want to be seen any more
  const leaveCamera = (event) => {
    if (!event.target.closest?.("[role=tab]")) return;
    setTimeout(() => {
      const stop = document.querySelector("#el-live [title='stop recording']");
      if (stop && stop.getClientRects().length === 0) stop.closest("button").click();
    }, 100);
  };
  document.addEventListener("click", leaveCamera);
  document.addEventListener("keyup", leaveCamera);
  document.addEventListener("timeupdate", (event) => {
    if (!event.target.closest?.("#el-player")) return;
    const now = event.target.currentTime;
    for (const strips of document.querySelectorAll(".el-result .strips")) {
      const { start, end } = strips.dataset;
      const x = Math.min(1000, Math.max(0, (1000 * (now - Number(start))) / (Number(end) - Number(start))));
      for (const line of strips.querySelectorAll("line.now")) { line.setAttribute("x1", x); line.setAttribute("x2", x); }
      strips.setAttribute("aria-valuenow", now.toFixed(1));
    }
  }, true);
})();
