// What the page asks of the server. Every answer is JSON; a refusal is one sentence in `error`.

export class Refused extends Error {}

export async function get(path) {
  return answer(fetch(path));
}

/** The answer about a photo (a Blob): `what` is the last word of the address, as in /api/classify. */
export async function ask(what, photo, parameters) {
  return answer(
    fetch(`/api/${what}?${new URLSearchParams(parameters)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: photo,
    }),
  );
}

async function answer(asked) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new Refused("The server does not answer: has it been stopped?");
  }
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(sentence(found.error ?? `the server said ${response.status}`));
  return found;
}

export function sentence(words) {
  return `${words[0].toUpperCase()}${words.slice(1)}.`;
}
