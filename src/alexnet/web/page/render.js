// Predictions as elements of the page.

const POSITIONS = ["upper left", "upper right", "lower left", "lower right", "middle"];

export const byId = (id) => document.getElementById(id);

export function percent(probability) {
  return probability < 0.0005 ? "< 0.1 %" : `${(100 * probability).toFixed(1)} %`;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function fill(list, items) {
  list.replaceChildren(...items.map((item) => element("li", {}, ...[item].flat())));
  return items.length > 0;
}

/** The most probable classes as bars; `truth` is the true class of the photo, or null if it is unknown. */
export function bars(classes, truth) {
  const rows = classes.map((each) => [
    element(
      "span",
      { className: "name" },
      each.name,
      each.wnid === each.name ? null : element("span", { className: "wnid" }, each.wnid),
      each.wnid === truth?.wnid ? element("span", { className: "true" }, "\u2713 true class") : null,
    ),
    element("span", { className: "percent" }, percent(each.probability)),
    bar(each.probability),
  ]);
  fill(byId("bars"), rows);
  const missed = truth !== null && !classes.some((each) => each.wnid === truth.wnid);
  byId("truth").hidden = !missed;
  byId("truth").textContent = missed ? `The true class is ${truth.name}.` : "";
}

function bar(probability) {
  const inner = element("span");
  requestAnimationFrame(() => (inner.style.width = `${100 * probability}%`));
  return element("div", { className: "bar", ariaHidden: "true" }, inner);
}

/** A button for each crop; `point(crop)` when it is hovered or focused, `point(null)` afterwards. */
export function crops(prediction, thumbnailOf, point) {
  const best = prediction.classes[0].wnid;
  const buttons = prediction.crops.map((crop, i) => {
    const [first] = crop.classes;
    const place = POSITIONS[i % POSITIONS.length] + (crop.mirrored ? ", mirrored" : "");
    const picture = thumbnailOf(crop);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `${place}:`);
    const words = `${first.name} ${percent(first.probability)}`;
    const button = element(
      "button",
      { type: "button" },
      picture,
      element("span", { className: first.wnid === best ? "" : "other" }, words),
    );
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => point(crop));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => point(null));
    return button;
  });
  fill(byId("crop-list"), buttons);
  byId("crops").hidden = prediction.crops.length < 2;
}

export function similar(prediction) {
  const items = prediction.neighbors.map((each) =>
    element(
      "figure",
      {},
      element("img", { src: each.photo, alt: "" }),
      element("figcaption", {}, element("span", {}, each.name), element("small", {}, each.distance.toPrecision(3))),
    ),
  );
  byId("similar-hint").textContent = `By Euclidean distance in ${prediction.layer}, shown below each.`;
  byId("similar").hidden = !fill(byId("similar-list"), items);
}

/** A picture as a button: `{src, name, details}`, where details are optional texts. */
export function picture(item, pressed) {
  const details = (item.details ?? []).flatMap((each) => [" ", element("small", {}, each)]);
  return element(
    "button",
    { type: "button", onclick: () => pressed(item) },
    element("img", { src: item.src, alt: "" }),
    element("span", {}, item.name, ...details),
  );
}

export function pictures(list, section, items, pressed) {
  section.hidden = !fill(list, items.map((item) => picture(item, pressed)));
}

export function notes(found) {
  byId("notes").hidden = !fill(byId("notes"), found.map((note) => `This file: ${note}.`));
}
