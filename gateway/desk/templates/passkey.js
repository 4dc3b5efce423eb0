// Enrols and shows a designated computer (WebAuthn): carries what navigator.credentials says to the desk and back.
// gateway/desk/my_devices.py answers, gateway/desk/passkeys.py checks.
"use strict";

const element = (id) => document.getElementById(id);

function toBytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function toText(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const withIds = (known) => (known || []).map((one) => ({ ...one, id: toBytes(one.id) }));

async function ask(form, path, body) {
  const answer = await fetch(form.getAttribute("action") + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": form.csrf_token.value },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (answer.ok) return said;
  const problems = (said.problems || []).map((one) => one.detail);
  throw new Error([said.detail, ...problems].join(" "));
}

function answered(credential, response) {
  const id = toText(credential.rawId);
  const told = Object.fromEntries(Object.entries(response).map(([name, buffer]) => [name, toText(buffer)]));
  return { id, rawId: id, type: credential.type, response: told };
}

async function enrol(form) {
  const asked = await ask(form, "", { name: form.elements.name.value });
  const credential = await navigator.credentials.create({
    publicKey: {
      ...asked,
      challenge: toBytes(asked.challenge),
      user: { ...asked.user, id: toBytes(asked.user.id) },
      excludeCredentials: withIds(asked.excludeCredentials),
    },
  });
  const { clientDataJSON, attestationObject } = credential.response;
  await ask(form, "/answer", { credential: answered(credential, { clientDataJSON, attestationObject }) });
  element("enrolled").hidden = false;
}

async function show(form) {
  const asked = await ask(form, "", {});
  const credential = await navigator.credentials.get({
    publicKey: { ...asked, challenge: toBytes(asked.challenge), allowCredentials: withIds(asked.allowCredentials) },
  });
  const { clientDataJSON, authenticatorData, signature } = credential.response;
  const response = { clientDataJSON, authenticatorData, signature };
  const said = await ask(form, "/answer", {
    credential: answered(credential, response),
    return_to: form.dataset.returnTo,
  });
  location.assign(said.continue_at);
}

function attend(form, step) {
  const button = form.querySelector("button");
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    element("failed").hidden = true;
    try {
      await step(form);
    } catch (error) {
      // What the browser itself says (NotAllowedError) is in its own language; what the desk says is in the caller's.
      element("reason").textContent = error.message;
      element("failed").hidden = false;
    }
    button.disabled = false;
  });
}

if (window.PublicKeyCredential && element("enrol")) {
  element("unsupported").hidden = true;
  attend(element("enrol"), enrol);
  if (element("show")) attend(element("show"), show);
}
