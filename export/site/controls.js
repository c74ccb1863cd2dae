// What is shown for a model's input: a text box, a choice, pickers with weights, or nothing; it knows no model.
// Each is made of its description and told whom to call when something changes; it has `text`, to read and to write.

const LISTED = 20; // up to so many choices are shown at once

// An element with attributes and children.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

class TextBox {
  constructor({ label, placeholder }, changed) {
    this.box = element("textarea", { rows: 2, placeholder, id: "prompt", maxLength: 2000, oninput: changed, spellcheck: false });
    this.shown = element("label", {}, element("span", {}, label), this.box);
  }

  get text() {
    return this.box.value.trim();
  }

  set text(text) {
    this.box.value = text;
  }
}

class Choice {
  constructor({ label, choices }, changed) {
    this.listed = choices.length <= LISTED;
    if (this.listed) {
      const pills = choices.map((name) => pill("choice", name, name, changed));
      this.shown = element("fieldset", { className: "pills" }, element("legend", {}, label), ...pills);
    } else {
      this.list = element("select", { onchange: changed }, ...choices.map((name) => element("option", {}, name)));
      this.shown = element("label", {}, element("span", {}, label), this.list);
    }
    this.text = choices[0];
  }

  get text() {
    return this.listed ? (this.shown.querySelector("input:checked")?.value ?? "") : this.list.value;
  }

  set text(text) {
    if (!this.listed) this.list.value = text;
    else for (const input of this.shown.querySelectorAll("input")) input.checked = input.value === text;
  }
}

class Pickers {
  constructor({ label, slots, heaviest }, changed) {
    this.changed = changed;
    this.rows = Object.entries(slots).map(([slot, names]) => this.row(slot, names, heaviest));
    const mix = element("button", { type: "button", className: "small", onclick: () => this.mix() }, "Somebody else");
    const rows = this.rows.map(({ shown }) => shown);
    this.shown = element("fieldset", { className: "pickers" }, element("legend", {}, label), ...rows, mix);
  }

  row(slot, names, heaviest) {
    const options = [element("option", { value: "" }, "–"), ...names.map((name) => element("option", {}, name))];
    const choice = element("select", { ariaLabel: slot, onchange: () => this.change() }, ...options);
    const weight = element("input", { type: "range", ariaLabel: `weight of ${slot}`, min: 0, max: heaviest, step: 0.25, value: 1 });
    weight.oninput = () => this.change();
    const number = element("output", {}, "1");
    const shown = element("div", { className: "slot" }, element("span", {}, slot), choice, weight, number);
    return { choice, weight, number, shown };
  }

  change() {
    this.show();
    this.changed();
  }

  show() {
    for (const { choice, weight, number } of this.rows) {
      weight.disabled = !choice.value;
      number.textContent = weight.value;
    }
  }

  // Any character: something in the first slot, and in some of the others.
  mix() {
    for (const [place, { choice, weight }] of this.rows.entries()) {
      const some = place === 0 || Math.random() < 0.35;
      choice.selectedIndex = some ? 1 + Math.floor(Math.random() * (choice.options.length - 1)) : 0;
      weight.value = "1";
    }
    this.change();
  }

  get text() {
    const chosen = this.rows.filter(({ choice }) => choice.value);
    return chosen.map(({ choice, weight }) => choice.value + (weight.value === "1" ? "" : `=${weight.value}`)).join(", ");
  }

  set text(text) {
    const weights = new Map(text.split(",").map((part) => part.split("=").map((side) => side.trim())));
    for (const { choice, weight } of this.rows) {
      choice.value = [...choice.options].find(({ value }) => value && weights.has(value))?.value ?? "";
      weight.value = (choice.value && weights.get(choice.value)) || "1";
    }
    this.show();
  }
}

class Nothing {
  shown = "";
  text = "";
}

// One of several in a row.
export function pill(group, value, label, changed, checked = false) {
  const input = element("input", { type: "radio", name: group, value, checked, onchange: changed });
  return element("label", { className: "pill" }, input, label);
}

const CONTROLS = { TextBox, Choice, Pickers, Control: Nothing };

// The control that a model's description asks for.
export function control(description, changed) {
  return new CONTROLS[description.kind](description, changed);
}
