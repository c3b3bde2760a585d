// The ollama package for Node: `ollama_npm.mjs BASE_URL`.
import { Ollama } from "ollama";
import { PARAMETERS, PERSON, read, serve } from "./telling.mjs";

const TOOLS = [{ type: "function", function: { name: "weather", description: "", parameters: PARAMETERS } }];

function take(seen, answer) {
  seen.text += answer.message.content;
  for (const call of answer.message.tool_calls ?? []) seen.tool_calls.push([call.function.name, call.function.arguments]);
  seen.finish = answer.done_reason ?? seen.finish;
  if (answer.done) seen.count(answer.prompt_eval_count, answer.eval_count);
}

await serve({
  async ollama_chat(job, seen) {
    const client = new Ollama({ host: process.argv[2], headers: job.headers });
    const ask = { model: job.model, messages: [{ role: "user", content: job.prompt }], stream: job.streamed };
    if (job.tools) ask.tools = TOOLS;
    if (job.scenario === "structured") ask.format = PERSON;
    const answer = await client.chat(ask);
    if (job.streamed) {
      await read(job, seen, answer, (line) => take(seen, line));
      if (job.scenario === "early_close") answer.abort();
    } else {
      seen.result = answer;
      take(seen, answer);
    }
  },
  async ollama_embeddings(job, seen) {
    const client = new Ollama({ host: process.argv[2], headers: job.headers });
    seen.result = await client.embed({ model: job.model, input: [job.prompt, "and another"] });
  },
});
