// Starts Zoom's Meeting SDK with what the server signed. Without it the page still leads to Zoom's app.
(() => {
  "use strict";

  const entry = document.getElementById("zoom-join");
  const failed = () => { document.getElementById("zoom-failed").hidden = false; };
  if (!entry || !window.ZoomMtg) {
    failed();
    return;
  }
  const { signature, key, number, passcode, name, email, tk, back } = entry.dataset;
  window.ZoomMtg.preLoadWasm();
  window.ZoomMtg.prepareWebSDK();
  window.ZoomMtg.init({
    leaveUrl: back,
    patchJsMedia: true,
    success: () => window.ZoomMtg.join({
      signature, sdkKey: key, meetingNumber: number, passWord: passcode, userName: name, userEmail: email, tk, error: failed,
    }),
    error: failed,
  });
})();
