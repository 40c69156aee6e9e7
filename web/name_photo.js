// Names a photo in the browser. This page loads the files of its own folder and sends nothing.

const LARGEST = 2048; // pixels a side: on phones a canvas must not be larger
const SHOWN = 5; // names
const here = (name) => new URL(name, import.meta.url).href;
const element = (id) => document.getElementById(id);
const percent = (part) => (part > 0 && part < 0.005 ? '<1%' : `${Math.round(100 * part)}%`);
let about, model, Tensor; // set by start()
let asked = 0; // how many photos were given: only the answer to the last one is shown

class PhotoError extends Error {} // its message is for the person

// --- From a file to what the model takes ---

// What a file is that the browser can't decode, by its first bytes.
async function why(file) {
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  if (!start) return 'This file is empty.';
  if (/^....ftyp(hei|hev|mif|msf)/s.test(start)) return 'This is a HEIC photo, which this browser can’t read. Save it as JPEG: in a photo app, or by the camera’s setting “most compatible”.';
  if (start.startsWith('%PDF')) return 'This is a PDF. Export its photo as JPEG or PNG first.';
  if (/^....(ftyp(?!avif)|moov)/s.test(start)) return 'This is a video. Take a still from it.';
  if (/^(\xff\xd8|\x89PNG|RIFF|GIF8|....ftypavif)/s.test(start)) return 'This photo can’t be decoded: it is damaged, or too large for this browser. Save it with 4,000 pixels a side at most.';
  return 'This file is no photo that this browser can read. It reads JPEG, PNG, WebP, GIF and AVIF.';
}

// Which pixels of a row go into each pixel of a smaller one, with which weights: a triangle as wide as the scale, as in
// Pillow's Image.resize(..., BILINEAR), which made the training photos. The browser's own resize gives other pixels.
function triangles(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  return Array.from({length: to}, (_, place) => {
    const middle = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(middle - reach + 0.5)), end = Math.min(from, Math.floor(middle + reach + 0.5));
    const heights = Array.from({length: end - first}, (_, k) => Math.max(0, 1 - Math.abs((first + k - middle + 0.5) / reach)));
    const sum = heights.reduce((a, b) => a + b);
    return {first, weights: heights.map((height) => height / sum)};
  });
}

// RGBA pixels of any size as size x size RGB in [0, 1]; like Pillow it makes rows narrower first, and rounds in between.
function resize({width, height, data}, size) {
  const narrow = new Uint8ClampedArray(height * size * 3), small = new Float32Array(size * size * 3);
  triangles(width, size).forEach(({first, weights}, x) => {
    for (let y = 0; y < height; y++) for (let colour = 0; colour < 3; colour++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * data[(y * width + first + k) * 4 + colour];
      narrow[(y * size + x) * 3 + colour] = Math.round(sum); // halves up: the array alone rounds them to even
    }
  });
  triangles(height, size).forEach(({first, weights}, y) => {
    for (let x = 0; x < size * 3; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * size * 3 + x];
      small[y * size * 3 + x] = Math.round(sum) / 255;
    }
  });
  return small;
}

// A photo file as pixels, upright, since the browser obeys the camera's note of how it was held.
async function read(file) {
  let photo;
  try {
    photo = await createImageBitmap(file, {colorSpaceConversion: 'none'}); // Pillow leaves colours as they are, too
  } catch {
    throw new PhotoError(await why(file));
  }
  const {width, height} = photo, scale = Math.min(1, LARGEST / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff'; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  photo.close();
  return {width, height, shrunk: scale < 1, pixels: context.getImageData(0, 0, canvas.width, canvas.height)};
}

// --- The model ---

// The probabilities and the feature vector of a photo, as two arrays.
async function run(pixels) {
  const size = about.input_size, input = new Tensor(resize(pixels, size), [1, size, size, 3]);
  const outputs = await model.run(input);
  const arrays = outputs.map((output) => Array.from(output.toTypedArray()));
  [input, ...outputs].forEach((tensor) => tensor.delete()); // LiteRT.js frees no memory by itself
  return arrays;
}

// How similar a feature vector is to the most similar class mean: the largest cosine. The means have length 1.
function similarity(vector, means) {
  const length = Math.hypot(...vector);
  return Math.max(...means.map((mean) => mean.reduce((sum, value, k) => sum + value * vector[k], 0) / length));
}

// --- What the person sees ---

function show(file, photo, probabilities, similar, milliseconds) {
  const ranked = probabilities.map((part, label) => ({name: about.class_names[label], part})).sort((a, b) => b.part - a.part);
  const none = about.rule && similar < about.rule.least_similarity, [best, second] = ranked;
  URL.revokeObjectURL(element('view').src);
  element('view').src = URL.createObjectURL(file);
  element('view').alt = `Your photo, ${file.name}`;
  element('caption').textContent = none ? 'If it had to choose one of its names' : 'The most likely names';
  element('answer').className = none ? 'none' : '';
  element('names').replaceChildren(...ranked.slice(0, SHOWN).map(({name, part}) => {
    const row = document.createElement('tr');
    row.innerHTML = '<th scope="row"></th><td><div class="bar"></div></td><td><data></data></td>';
    row.cells[0].textContent = name;
    row.querySelector('.bar').style.width = `${100 * part}%`;
    Object.assign(row.querySelector('data'), {value: part, textContent: percent(part)});
    return row;
  }));
  element('answer').hidden = false;
  element('status').textContent = none
    ? 'None of these: your photo is unlike the photos that the model was trained on.'
    : `Most likely ${best.name} (${percent(best.part)}), then ${second.name} (${percent(second.part)}).`;
  element('facts').textContent = [
    photo.shrunk && `Your photo has ${(photo.width * photo.height / 1e6).toFixed(0)} megapixels and was made smaller first.`,
    about.rule && `Similarity ${similar.toFixed(2)}; a photo is named from ${about.rule.least_similarity.toFixed(2)} on.`,
    `It took ${Math.round(milliseconds)} ms.`,
  ].filter(Boolean).join(' ');
}

async function name(file) {
  if (!file || !model) return;
  const turn = ++asked;
  element('status').textContent = 'Looking…';
  try {
    const start = performance.now();
    const photo = await read(file), [probabilities, vector] = await run(photo.pixels);
    const similar = about.rule && similarity(vector, about.rule.means);
    if (turn === asked) show(file, photo, probabilities, similar, performance.now() - start);
  } catch (error) {
    if (turn !== asked) return;
    if (!(error instanceof PhotoError)) console.error(error);
    element('answer').hidden = true;
    element('facts').textContent = '';
    element('status').textContent = error instanceof PhotoError ? error.message : `This photo can’t be named here (${error.message}).`;
  }
}

// What was measured when this page was built: see course/none_of_these.py.
function tellAbout() {
  const list = new Intl.ListFormat('en').format(about.class_names);
  element('classes').textContent = `This page knows ${about.class_names.length} names: ${list}.`;
  element('credit').textContent = about.photos ? `Trained on ${about.photos.name}: ${about.photos.credit || 'photos of your own'}. Licence: ${about.photos.licence}.` : '';
  element('credits').hidden = !about.photos?.credits;
  element('rule').hidden = false;
  if (!about.rule) {
    element('explained').textContent = 'This page never does: it was built without the photos that the model was trained on, so it gives each photo one of its names.';
    return;
  }
  const counted = ({count, of, low, high}) => `${count} of ${of} (95% interval ${percent(low)} to ${percent(high)})`;
  element('explained').textContent = 'A probability can’t say it, because the model must choose one of its names. So the page compares your photo’s feature vector with the mean of each class, and names it only if one of them is similar enough. On photos that had no part in this rule:';
  const {false_refusals, false_names, unknown_class_named} = about.rule;
  element('measured').replaceChildren(...[
    `photos of its own classes that are refused: ${counted(false_refusals)}`,
    ...Object.entries(false_names).map(([set, counts]) => `${set.replaceAll('_', ' ')} that get a name: ${counted(counts)}`),
    `photos of a class that was left out, and that get the name of another: ${counted(unknown_class_named)}`,
  ].map((text) => Object.assign(document.createElement('li'), {textContent: text})));
}

// --- Start ---

async function start() {
  if (typeof WebAssembly !== 'object') throw new Error('this browser has no WebAssembly, which runs the model. Please use a current one.');
  const answer = await fetch(here('model.json'));
  if (!answer.ok) throw new Error('model.json is missing. Build the page with “python -m course demo”.');
  about = await answer.json();
  tellAbout();
  const litert = await import('./litert/core/dist/index.js');
  await litert.loadLiteRt(here('litert/core/wasm/litert_wasm_compat_internal.js')); // the build that all browsers run
  model = await litert.loadAndCompile(here('model.tflite'), {accelerator: 'wasm'});
  Tensor = litert.Tensor;
}

element('taking').hidden = !navigator.maxTouchPoints; // a phone or tablet; on a computer the choice opens no camera
for (const id of ['photo', 'camera']) element(id).addEventListener('change', ({target}) => name(target.files[0]));
for (const type of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(type, (event) => { // anywhere: beside the box, the browser would open the photo instead
    event.preventDefault();
    element('drop').classList.toggle('over', type === 'dragover');
    if (type === 'drop') name(event.dataTransfer.files[0]);
  });
}
try {
  await start();
  element('photo').disabled = element('camera').disabled = false;
  element('status').textContent = 'Ready for your photo.';
} catch (error) {
  console.error(error);
  element('status').textContent = `The model could not be loaded: ${error.message}`;
}
