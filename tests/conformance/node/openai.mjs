// The `openai` package.

import OpenAI from "openai";

const connect = (baseURL) => new OpenAI({ baseURL, apiKey: "none", timeout: 60_000 });
const question = (prompt) => ({ model: "clerk", messages: [{ role: "user", content: prompt }] });

async function readStream(baseURL, prompt, options = {}, requestOptions = {}) {
  const seen = { text: "", pieces: 0, reasoning: "", progress: [], toolCalls: 0, finish: [], usage: [], choices: [] };
  const stream = await connect(baseURL).chat.completions.create(
    { ...question(prompt), stream: true, ...options },
    requestOptions,
  );
  try {
    for await (const chunk of stream) {
      seen.choices.push(chunk.choices.length);
      if (chunk.usage) seen.usage.push(chunk.usage.total_tokens);
      if (chunk.progress) seen.progress.push(chunk.progress.status);
      for (const { delta, finish_reason } of chunk.choices) {
        if (delta.content) {
          seen.text += delta.content;
          seen.pieces += 1;
        }
        seen.reasoning += delta.reasoning_content ?? "";
        seen.toolCalls += delta.tool_calls?.length ?? 0;
        if (finish_reason) seen.finish.push(finish_reason);
      }
    }
  } catch (error) {
    seen.failed = {
      isAPIError: error instanceof OpenAI.APIError,
      message: error.message,
      code: error.code,
      type: error.type,
    };
  }
  return seen;
}

async function readHelper(baseURL, prompt) {
  const events = [];
  const stream = connect(baseURL).chat.completions.stream(question(prompt));
  stream.on("content", (delta) => events.push(delta));
  const answer = await stream.finalChatCompletion();
  const { message, finish_reason } = answer.choices[0];
  return { deltas: events, role: message.role, text: message.content, finish: finish_reason };
}

export async function plain(baseURL) {
  const answer = await connect(baseURL).chat.completions.create(question("Tell me a story."));
  const { message, finish_reason } = answer.choices[0];
  return { text: message.content, role: message.role, finish: finish_reason, usage: answer.usage.total_tokens };
}

export const stream = (baseURL) => readStream(baseURL, "Tell me a story.");
export const streamWithUsage = (baseURL) =>
  readStream(baseURL, "Tell me a story.", { stream_options: { include_usage: true } });
export const streamOfTwoAgents = (baseURL) =>
  readStream(baseURL, "Ask the baker.", { stream_options: { include_usage: true } });
export const streamOfTwoAgentsThatBreaks = (baseURL) =>
  readStream(baseURL, "Ask the baker, and break off.", { stream_options: { include_usage: true } });
export const streamWithTool = (baseURL) => readStream(baseURL, "Where is order 7?");
export const streamWithThoughts = (baseURL) => readStream(baseURL, "Think first.");
export const streamThatBreaks = (baseURL) => readStream(baseURL, "Break off.");
export const streamOfSlowModel = (baseURL) => readStream(baseURL, "Take your time.");

export const helper = (baseURL) => readHelper(baseURL, "Tell me a story.");
export const helperWithTool = (baseURL) => readHelper(baseURL, "Where is order 7?");
export const helperWithThoughts = (baseURL) => readHelper(baseURL, "Think first.");

export async function session(baseURL) {
  const headers = { "X-Session-ID": `node-${crypto.randomUUID()}` };
  const first = await readStream(baseURL, "I am Ada.", {}, { headers });
  const second = await readStream(baseURL, "Who am I?", {}, { headers });
  return [first.text, second.text];
}

const MAP = {
  type: "function",
  function: {
    name: "show_on_map",
    description: "Show a place to the user.",
    parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
  },
};

/** What a user of the SDK writes: call what the model wants called, until it wants nothing more. */
async function toolLoop(baseURL, complete) {
  const messages = [{ role: "user", content: "Show order 7 on the map." }];
  const turns = [];
  while (turns.length < 5) {
    const { message, finish_reason } = (await complete({ model: "clerk", messages, tools: [MAP] })).choices[0];
    const calls = message.tool_calls ?? [];
    turns.push({ text: message.content, finish: finish_reason, calls: calls.map(({ function: f }) => [f.name, f.arguments]) });
    messages.push(message);
    if (calls.length === 0) return turns;
    for (const call of calls) {
      const { place } = JSON.parse(call.function.arguments);
      messages.push({ role: "tool", tool_call_id: call.id, content: `shown at ${place}` });
    }
  }
  return turns;
}

export const clientTools = (baseURL) =>
  toolLoop(baseURL, (body) => connect(baseURL).chat.completions.create(body));
export const clientToolsStreamed = (baseURL) =>
  toolLoop(baseURL, (body) => connect(baseURL).chat.completions.stream(body).finalChatCompletion());

export async function runTools(baseURL) {
  const shown = [];
  const show = (args) => `shown at ${shown[shown.push(args.place) - 1]}`;
  const tool = { ...MAP.function, function: show, parse: JSON.parse };
  const runner = connect(baseURL).chat.completions.runTools({
    ...question("Show order 7 on the map."),
    stream: true,
    tools: [{ type: "function", function: tool }],
  });
  return { text: await runner.finalContent(), shown };
}

export async function approval(baseURL) {
  const headers = { "X-Session-ID": `node-${crypto.randomUUID()}` };
  const complete = (messages) =>
    connect(baseURL).chat.completions.create({ model: "clerk", messages }, { headers });
  const first = await complete([{ role: "user", content: "Cancel order 7." }]);
  const [call] = first.choices[0].message.tool_calls;
  const decision = { role: "tool", tool_call_id: call.id, content: JSON.stringify({ approved: true }) };
  const second = await complete([decision]);
  return { asked: [call.function.name, call.function.arguments], text: second.choices[0].message.content };
}

export async function models(baseURL) {
  const listed = [];
  for await (const model of connect(baseURL).models.list()) listed.push(model.id);
  return { listed, retrieved: (await connect(baseURL).models.retrieve("clerk")).id };
}

export const unknownModel = (baseURL) => connect(baseURL).models.retrieve("somebody-else");
export const badParameter = (baseURL) =>
  connect(baseURL).chat.completions.create({ ...question("Tell me a story."), temperature: "warm" });
export const failingModel = (baseURL) => connect(baseURL).chat.completions.create(question("Refuse."));
