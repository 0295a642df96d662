try {
  const theme = localStorage.getItem("gansweep-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {}
