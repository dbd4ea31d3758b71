// Requests to the server. Every response is JSON; a refusal has one sentence in `error`.

export class Refused extends Error {}

export async function get(path) {
  return parse(fetch(path));
}

/** The prediction for a photo (a Blob); `endpoint` as in /api/classify. */
export async function predict(endpoint, photo, parameters) {
  return parse(
    fetch(`/api/${endpoint}?${new URLSearchParams(parameters)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: photo,
    }),
  );
}

async function parse(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refused("The server does not respond: has it been stopped?");
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(sentence(document.error ?? `the server responded with status ${response.status}`));
  return document;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
