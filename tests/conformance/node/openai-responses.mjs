// The `openai` package and its Responses API.

import OpenAI from "openai";

const connect = (baseURL) => new OpenAI({ baseURL, apiKey: "none", timeout: 60_000 });
const tools = [
  {
    type: "function",
    name: "show_on_map",
    strict: true,
    parameters: {
      type: "object",
      properties: { place: { type: "string" } },
      required: ["place"],
      additionalProperties: false,
    },
  },
];

/** The text of a stream, the types of its events, pieces of one text only once, and their numbers. */
async function read(events, seen = { text: "", types: [], numbers: [] }) {
  for await (const event of events) {
    if (seen.types.at(-1) !== event.type) seen.types.push(event.type);
    seen.numbers.push(event.sequence_number);
    if (event.type === "response.created") seen.id = event.response.id;
    if (event.type === "response.output_text.delta") seen.text += event.delta;
    if (event.progress) (seen.progress ??= []).push(event.progress.status);
    if (event.type.match(/completed$|failed$|incomplete$/) && event.response) seen.final = event.response;
  }
  return seen;
}

async function stream(baseURL, input, options = {}) {
  const seen = await read(await connect(baseURL).responses.create({ model: "clerk", input, stream: true, ...options }));
  const { status, output, error } = seen.final;
  return { ...seen, final: { status, error, output: output.map(({ type }) => type) } };
}

async function helper(baseURL, input, options = {}) {
  const events = connect(baseURL).responses.stream({ model: "clerk", input, ...options });
  const deltas = [];
  events.on("response.output_text.delta", ({ delta }) => deltas.push(delta));
  const response = await events.finalResponse();
  return { deltas, response };
}

export async function plain(baseURL) {
  const response = await connect(baseURL).responses.create({ model: "clerk", input: "Tell me a story." });
  return { text: response.output_text, status: response.status, usage: response.usage.total_tokens };
}

export const streamStory = (baseURL) => stream(baseURL, "Tell me a story.");
export const streamWithTool = (baseURL) => stream(baseURL, "Where is order 7?");
export const streamWithThoughts = (baseURL) => stream(baseURL, "Think first.");
export const streamThatBreaks = (baseURL) => stream(baseURL, "Break off.");
export const streamOfSlowModel = (baseURL) => stream(baseURL, "Take your time.");

export async function helperWithTool(baseURL) {
  const { deltas, response } = await helper(baseURL, "Where is order 7?");
  const [call] = response.output;
  return { text: deltas.join(""), whole: response.output_text, tool: [call.type, call.name, call.output] };
}

export async function helperWithThoughts(baseURL) {
  const { response } = await helper(baseURL, "Think first.");
  return { text: response.output_text, thoughts: response.output[0].summary.map(({ text }) => text) };
}

export async function background(baseURL) {
  const { responses } = connect(baseURL);
  const begun = await responses.create({ model: "clerk", input: "Take your time.", background: true });
  const seen = await read(await responses.retrieve(begun.id, { stream: true }));
  const { status, output_text: text } = await responses.retrieve(begun.id);
  return { begun: begun.status, types: seen.types.slice(0, 3), streamed: seen.text, status, text };
}

/** Drops the connection after each event in turn, and goes on from there. */
export async function resumed(baseURL) {
  const { responses } = connect(baseURL);
  const request = { model: "clerk", input: "Where is order 7?", stream: true, background: true };
  const whole = await read(await responses.create(request));
  const texts = [];
  const numbers = [];
  for (const last of whole.numbers.slice(0, -1)) {
    const seen = { text: "", types: [], numbers: [] };
    const events = await responses.create(request);
    for await (const event of events) {
      await read([event], seen);
      if (event.sequence_number === last) break;
    }
    await read(await responses.retrieve(seen.id, { stream: true, starting_after: last }), seen);
    texts.push(seen.text);
    numbers.push(seen.numbers);
  }
  return { whole: whole.text, texts, count: whole.numbers.length, numbers };
}

export async function resumedByHelper(baseURL) {
  const client = connect(baseURL);
  const { response } = await helper(baseURL, "Tell me a story.", { background: true });
  const events = client.responses.stream({ response_id: response.id, starting_after: 5 });
  const numbers = [];
  for await (const event of events) numbers.push(event.sequence_number);
  return { first: numbers[0], text: (await events.finalResponse()).output_text };
}

export async function cancelled(baseURL) {
  const { responses } = connect(baseURL);
  const { id } = await responses.create({ model: "clerk", input: "Take your time.", background: true });
  const [first, again] = [await responses.cancel(id), await responses.cancel(id)];
  return [first.status, again.status, (await responses.retrieve(id)).status];
}

export async function deleted(baseURL) {
  const { responses } = connect(baseURL);
  const { id } = await responses.create({ model: "clerk", input: "Tell me a story." });
  await responses.delete(id);
  return responses.retrieve(id);
}

export async function inputItems(baseURL) {
  const { responses } = connect(baseURL);
  const input = ["one", "two", "three"].map((content) => ({ role: "user", content }));
  const { id } = await responses.create({ model: "clerk", input });
  const texts = [];
  for await (const item of responses.inputItems.list(id, { order: "asc", limit: 2 })) texts.push(item.content[0].text);
  return texts;
}

export async function conversations(baseURL) {
  const { responses } = connect(baseURL);
  const conversation = `conv_${crypto.randomUUID()}`;
  const first = await responses.create({ model: "clerk", input: "I am Ada.", conversation });
  const second = await responses.create({ model: "clerk", input: "Who am I?", previous_response_id: first.id });
  const third = await responses.create({ model: "clerk", input: "Sure?", conversation: { id: conversation } });
  return [second.output_text, third.output_text];
}

export async function clientTool(baseURL) {
  const input = [{ role: "user", content: "Show order 7 on the map." }];
  const { response: first } = await helper(baseURL, input, { tools });
  const { call_id, name, arguments: given } = first.output.find(({ type }) => type === "function_call");
  const output = { type: "function_call_output", call_id, output: `shown at ${JSON.parse(given).place}` };
  const { response: second } = await helper(baseURL, [output], { tools, previous_response_id: first.id });
  const { response: kept } = await helper(baseURL, [...input, ...first.output, output], { tools });
  return { name, second: second.output_text, kept: kept.output_text };
}

export async function approval(baseURL) {
  const { responses } = connect(baseURL);
  const first = await responses.create({ model: "clerk", input: "Cancel order 7." });
  const [{ type, id }] = first.output;
  const decision = { type: "mcp_approval_response", approval_request_id: id, approve: true };
  const second = await responses.create({ model: "clerk", input: [decision], previous_response_id: first.id });
  return { type, text: second.output_text };
}

export const badParameter = (baseURL) =>
  connect(baseURL).responses.create({ model: "clerk", input: "hi", temperature: "warm" });
export const failingModel = (baseURL) => connect(baseURL).responses.create({ model: "clerk", input: "Refuse." });
