// The official client for A2A, unmodified. The URL is the agent's; the card that it has decides which version is spoken.

import { Role, TaskState } from "@a2a-js/sdk";
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
} from "@a2a-js/sdk/client";

const legacyCompat = { enabled: true };

const clientOf = (url) =>
  new ClientFactory({
    ...ClientFactoryOptions.default,
    transports: [new JsonRpcTransportFactory({ legacyCompat })],
    cardResolver: new DefaultAgentCardResolver({ legacyCompat }),
  }).createFromUrl(url);

const request = (messageId, text = "Hello.", taskId = "") => ({
  message: {
    messageId,
    taskId,
    contextId: "",
    role: Role.ROLE_USER,
    parts: [{ content: { $case: "text", value: text }, filename: "", mediaType: "" }],
    extensions: [],
    referenceTaskIds: [],
  },
  tenant: "",
});

const textOf = (parts) => parts.map((part) => part.content.value).join("");
const stateOf = (task) => TaskState[task.status.state];

/** What a stream told: its events by kind, the text of the artifact, and the last state. */
async function followed(stream, onTask = () => {}) {
  const kinds = [];
  let text = "";
  let state;
  for await (const { payload } of stream) {
    kinds.push(payload.$case);
    if (payload.$case === "task") await onTask(payload.value);
    if (payload.$case === "statusUpdate") state = stateOf(payload.value);
    if (payload.$case === "artifactUpdate") {
      const piece = textOf(payload.value.artifact.parts);
      text = payload.value.append ? text + piece : piece;
    }
  }
  return { kinds: [...new Set(kinds)], text, state };
}

export async function card(url) {
  const found = await (await clientOf(url)).getAgentCard();
  return { name: found.name, streaming: found.capabilities.streaming };
}

export async function send(url) {
  const task = await (await clientOf(url)).sendMessage(request("tck-complete-task"));
  return { state: stateOf(task), text: textOf(task.artifacts[0].parts) };
}

export async function stream(url) {
  const client = await clientOf(url);
  let id;
  const told = await followed(client.sendMessageStream(request("tck-stream-artifact-chunked")), (task) => {
    id = task.id;
  });
  const task = await client.getTask({ id, tenant: "" });
  return { ...told, got: textOf(task.artifacts[0].parts), history: task.history.length };
}

export async function goOn(url) {
  const client = await clientOf(url);
  const asks = await client.sendMessage(request("tck-input-required"));
  const done = await client.sendMessage(request("tck-complete-task", "yes", asks.id));
  return { asked: stateOf(asks), same: done.id === asks.id, state: stateOf(done) };
}

export async function cancel(url) {
  const client = await clientOf(url);
  const asks = await client.sendMessage(request("tck-input-required"));
  const canceled = await client.cancelTask({ id: asks.id, tenant: "" });
  const again = await client.cancelTask({ id: asks.id, tenant: "" }).catch((error) => error.constructor.name);
  return { state: stateOf(canceled), again };
}

export async function resubscribe(url) {
  const client = await clientOf(url);
  for await (const { payload } of client.sendMessageStream(request("slow"))) {
    // This leaves the first stream.
    return followed(client.resubscribeTask({ id: payload.value.id, tenant: "" }));
  }
}
