// The openai package for Node: `openai_npm.mjs BASE_URL`.
import OpenAI from "openai";
import { PARAMETERS, PERSON, read, serve } from "./telling.mjs";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "k" });
const TOOLS = [{ type: "function", function: { name: "weather", parameters: PARAMETERS } }];
const FLAT_TOOLS = [{ type: "function", name: "weather", parameters: PARAMETERS, strict: false }];

function summarise(seen, completion) {
  const [choice] = completion.choices;
  Object.assign(seen, { result: completion, text: choice.message.content ?? "", finish: choice.finish_reason });
  (choice.message.tool_calls ?? []).forEach((call, i) => seen.call(i, call.function.name, call.function.arguments));
  seen.count(completion.usage?.prompt_tokens, completion.usage?.completion_tokens);
}

function takeChunk(seen, chunk) {
  seen.count(chunk.usage?.prompt_tokens, chunk.usage?.completion_tokens);
  for (const choice of chunk.choices) {
    seen.text += choice.delta.content ?? "";
    seen.finish = choice.finish_reason ?? seen.finish;
    for (const call of choice.delta.tool_calls ?? []) seen.call(call.index, call.function?.name, call.function?.arguments);
  }
}

function summariseResponse(seen, response) {
  Object.assign(seen, { result: response, text: response.output_text ?? seen.text, finish: response.status });
  const calls = response.output.filter((item) => item.type === "function_call");
  calls.forEach((call, i) => seen.call(i, call.name, call.arguments));
  seen.count(response.usage?.input_tokens, response.usage?.output_tokens);
}

function takeEvent(seen, event) {
  if (event.type === "response.output_text.delta") seen.text += event.delta;
  if (event.type === "response.completed") summariseResponse(seen, event.response);
}

await serve({
  async chat(job, seen) {
    const ask = { model: job.model, messages: [{ role: "user", content: job.prompt }] };
    if (job.tools) ask.tools = TOOLS;
    const schema = { name: "person", schema: PERSON, strict: true };
    if (job.scenario === "structured") ask.response_format = { type: "json_schema", json_schema: schema };
    const options = { headers: job.headers };
    if (job.scenario === "structured") summarise(seen, await client.chat.completions.parse(ask, options));
    else if (!job.streamed) summarise(seen, await client.chat.completions.create(ask, options));
    else {
      Object.assign(ask, { stream: true, stream_options: { include_usage: true } });
      const stream = await client.chat.completions.create(ask, options);
      await read(job, seen, stream, (chunk) => takeChunk(seen, chunk));
    }
  },
  async responses(job, seen) {
    const ask = { model: job.model, input: job.prompt };
    if (job.tools) ask.tools = FLAT_TOOLS;
    const format = { type: "json_schema", name: "person", schema: PERSON, strict: true };
    if (job.scenario === "structured") ask.text = { format };
    const options = { headers: job.headers };
    if (job.scenario === "structured") summariseResponse(seen, await client.responses.parse(ask, options));
    else if (!job.streamed) summariseResponse(seen, await client.responses.create(ask, options));
    else {
      const stream = await client.responses.create({ ...ask, stream: true }, options);
      await read(job, seen, stream, (event) => takeEvent(seen, event));
    }
  },
  async embeddings(job, seen) {
    const ask = { model: job.model, input: [job.prompt, "and another"] };
    seen.result = await client.embeddings.create(ask, { headers: job.headers });
    seen.count(seen.result.usage.prompt_tokens, 0);
  },
});
