// The AI SDK: the `ai` package over `@ai-sdk/openai-compatible`.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const clerk = (baseURL, options = {}) =>
  createOpenAICompatible({ name: "pais", baseURL, apiKey: "none", ...options }).chatModel("clerk");

async function generate(baseURL, prompt, options = {}) {
  const { text, reasoningText, finishReason, usage, toolCalls, warnings } = await generateText({
    model: clerk(baseURL),
    prompt,
    ...options,
  });
  return { text, reasoningText, finishReason, usage: usage.totalTokens, toolCalls: toolCalls.length, warnings };
}

async function stream(baseURL, prompt, options = {}) {
  const seen = { parts: [], text: "", pieces: 0, reasoning: "", errors: [] };
  const result = streamText({ model: clerk(baseURL, options), prompt, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type !== seen.parts.at(-1)) seen.parts.push(part.type);
    if (part.type === "text-delta") {
      seen.text += part.text;
      seen.pieces += 1;
    }
    if (part.type === "reasoning-delta") seen.reasoning += part.text;
    if (part.type === "error") seen.errors.push(part.error.message ?? part.error);
    if (part.type === "finish") {
      seen.finishReason = part.finishReason;
      seen.usage = part.totalUsage.totalTokens;
    }
  }
  return seen;
}

export const generateStory = (baseURL) => generate(baseURL, "Tell me a story.");
export const generateWithTool = (baseURL) => generate(baseURL, "Where is order 7?");
export const generateFromMessages = (baseURL) =>
  generate(baseURL, undefined, {
    system: "Speak kindly.",
    messages: [
      { role: "user", content: "I am Ada." },
      { role: "assistant", content: "Hello, Ada." },
      { role: "user", content: "Who am I?" },
    ],
  });

/** The SDK's own loop: it runs the tool and asks again, until there is an answer. */
const showing = (shown) => ({
  prompt: "Show order 7 on the map.",
  stopWhen: stepCountIs(5),
  tools: {
    show_on_map: tool({
      description: "Show a place to the user.",
      inputSchema: jsonSchema({ type: "object", properties: { place: { type: "string" } }, required: ["place"] }),
      execute: async ({ place }) => `shown at ${shown[shown.push(place) - 1]}`,
    }),
  },
});

export async function toolLoop(baseURL) {
  const shown = [];
  const { text, finishReason, steps } = await generateText({ model: clerk(baseURL), ...showing(shown) });
  return { text, finishReason, shown, steps: steps.map((step) => step.finishReason) };
}

export async function toolLoopStreamed(baseURL) {
  const shown = [];
  const errors = [];
  const parts = [];
  const result = streamText({ model: clerk(baseURL), ...showing(shown), onError: ({ error }) => errors.push(`${error}`) });
  for await (const part of result.fullStream) if (part.type.startsWith("tool-")) parts.push(part.type);
  const steps = (await result.steps).map((step) => step.finishReason);
  return { text: await result.text, finishReason: await result.finishReason, shown, steps, errors, parts };
}

export async function textStream(baseURL) {
  const result = streamText({ model: clerk(baseURL), prompt: "Tell me a story." });
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  return pieces;
}

export const streamStory = (baseURL) => stream(baseURL, "Tell me a story.");
export const streamWithUsage = (baseURL) => stream(baseURL, "Tell me a story.", { includeUsage: true });
export const streamOfTwoAgents = (baseURL) => stream(baseURL, "Ask the baker.", { includeUsage: true });
export const streamOfTwoAgentsThatBreaks = (baseURL) =>
  stream(baseURL, "Ask the baker, and break off.", { includeUsage: true });
export const generateByTwoAgents = (baseURL) => generate(baseURL, "Ask the baker.");
export const streamWithTool = (baseURL) => stream(baseURL, "Where is order 7?");
export const streamWithThoughts = (baseURL) => stream(baseURL, "Think first.");
export const streamOfSlowModel = (baseURL) => stream(baseURL, "Take your time.");
export const streamThatBreaks = (baseURL) => stream(baseURL, "Break off.");

// The AI SDK sends what failed again whatever `x-should-retry` says, so whoever pays for runs turns that off.
export const failingModel = (baseURL) => generate(baseURL, "Refuse.", { maxRetries: 0 });
