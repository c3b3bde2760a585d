// The @anthropic-ai/sdk package for Node: `anthropic_npm.mjs BASE_URL`.
import Anthropic from "@anthropic-ai/sdk";
import { PARAMETERS, PERSON, read, serve } from "./telling.mjs";

const client = new Anthropic({ baseURL: process.argv[2], apiKey: "k" });

function summarise(seen, message) {
  const blocks = message.content;
  seen.text = blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
  seen.tool_calls = blocks.flatMap((block) => (block.type === "tool_use" ? [[block.name, block.input]] : []));
  Object.assign(seen, { result: message, finish: message.stop_reason });
  seen.count(message.usage.input_tokens, message.usage.output_tokens);
}

await serve({
  async messages(job, seen) {
    const ask = { model: job.model, max_tokens: 64, messages: [{ role: "user", content: job.prompt }] };
    if (job.tools) ask.tools = [{ name: "weather", input_schema: PARAMETERS }];
    const options = { headers: job.headers };
    if (job.scenario === "structured") {
      ask.output_config = { format: { type: "json_schema", schema: PERSON } };
      summarise(seen, await client.messages.parse(ask, options));
    } else if (!job.streamed) summarise(seen, await client.messages.create(ask, options));
    else {
      const stream = client.messages.stream(ask, options);
      await read(job, seen, stream, () => {});
      if (job.scenario !== "early_close") summarise(seen, await stream.finalMessage());
    }
  },
});
