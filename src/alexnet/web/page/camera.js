// One photo from the camera, in a dialog that closes with Escape.

import { byId } from "./render.js";

/** Shows the button where there is a camera API; calls `taken(blob)` or `refused(sentence)`. */
export function offerCamera(taken, refused) {
  const dialog = byId("camera-dialog");
  const video = byId("video");
  byId("camera").hidden = !navigator.mediaDevices?.getUserMedia;

  byId("camera").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      refused(`The camera cannot be used: ${error.message || error.name}.`);
      return;
    }
    byId("shoot").disabled = true; // until the camera delivers a picture
    dialog.showModal();
  });
  video.addEventListener("loadeddata", () => {
    byId("shoot").disabled = false;
    byId("shoot").focus();
  });
  byId("close-camera").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  });
  byId("shoot").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob(taken, "image/jpeg", 0.95);
  });
}
