// Questions to the server; a newer question of a kind ends the older one.

const asked = new Map();

// The answer; null if a newer question has been asked meanwhile. Throws what was wrong.
export async function ask(path, question) {
  asked.get(path)?.abort();
  const control = new AbortController();
  asked.set(path, control);
  let answer;
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      signal: control.signal,
    });
    answer = await response.json();
  } catch (error) {
    if (control.signal.aborted) return null;
    throw new Error("The server gives no answer. Is it still running?", { cause: error });
  }
  if (control.signal.aborted) return null;
  if (answer.error) throw new Error(answer.error);
  return answer;
}
