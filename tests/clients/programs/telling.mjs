// What the Node client programs share: jobs on standard input, and what the client saw of each as a JSON line.
import { createInterface } from "node:readline";

const EARLY = 3; // events read before a stream is closed early
const STREAMED = ["stream", "tools_stream", "early_close", "cut"];
export const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

export class Seen {
  text = "";
  tool_calls = []; // [name, arguments]
  finish = null;
  usage = null; // input, output tokens as the client tells them
  events = [];
  result = null;
  error = null;

  count(input, output) {
    if (input != null && output != null) this.usage = [input, output];
  }

  call(position, name, args) {
    while (this.tool_calls.length <= position) this.tool_calls.push(["", ""]);
    this.tool_calls[position][0] += name ?? "";
    this.tool_calls[position][1] += args ?? "";
  }
}

function told(error) {
  return {
    class: `${error?.constructor?.name}`,
    name: error?.name ?? null,
    status: error?.status ?? error?.statusCode ?? error?.status_code ?? null,
    message: String(error?.message ?? error),
    body: error?.error ?? error?.responseBody ?? null,
    cause: error?.cause?.constructor?.name ?? null,
    code: error?.code ?? error?.cause?.code ?? null,
  };
}

// Reads a stream to its end, or to where an early close is due; `take` sees every event.
export async function read(job, seen, stream, take) {
  for await (const event of stream) {
    seen.events.push(JSON.parse(JSON.stringify(event)));
    take(event);
    if (job.scenario === "early_close" && seen.events.length >= EARLY) break;
  }
}

// Does every job in turn with the call of its API.
export async function serve(calls) {
  for await (const line of createInterface({ input: process.stdin })) {
    const given = JSON.parse(line);
    const job = { ...given, streamed: STREAMED.includes(given.scenario), tools: given.scenario.startsWith("tools") };
    const seen = new Seen();
    try {
      await calls[job.api](job, seen);
    } catch (error) {
      seen.error = told(error);
    }
    console.log(JSON.stringify({ api: job.api, scenario: job.scenario, ...seen }));
  }
  process.exit(0); // what a closed stream left behind must not keep the process
}
