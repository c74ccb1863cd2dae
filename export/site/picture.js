// A file of the user's → bytes to start from: upright, on white, the middle of it, in the model's size; it knows no model.

// A File or Blob → bytes (H, W, 3) of a size [W, H].
export async function pictureBytes(file, [width, height]) {
  const picture = await createImageBitmap(file);
  const scale = Math.max(width / picture.width, height / picture.height);
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  pen.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = pen.getImageData(0, 0, width, height); // (H, W, 4)
  return Uint8Array.from({ length: width * height * 3 }, (_, place) => data[Math.floor(place / 3) * 4 + (place % 3)]);
}
