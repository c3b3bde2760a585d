// The Vercel AI SDK, which answers a tool call and goes on: `vercel_ai.mjs BASE_URL`.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";
import { PARAMETERS, PERSON, read, serve } from "./telling.mjs";

const base = process.argv[2];
const openai = createOpenAI({ baseURL: `${base}/v1`, apiKey: "k" });
const anthropic = createAnthropic({ baseURL: `${base}/v1`, apiKey: "k" });

const weather = tool({
  description: "The weather in a city",
  inputSchema: jsonSchema(PARAMETERS),
  execute: async ({ city }) => `Sunny in ${city}`,
});

async function summarise(seen, done) {
  seen.text = await done.text;
  seen.finish = await done.finishReason;
  const steps = await done.steps;
  seen.tool_calls = steps.flatMap((step) => step.toolCalls.map((call) => [call.toolName, call.input]));
  const usage = await done.totalUsage;
  seen.count(usage.inputTokens, usage.outputTokens);
  seen.result = { usage, content: steps.map((step) => step.content), warnings: steps.map((step) => step.warnings) };
}

async function run(job, seen, model) {
  const ask = { model, prompt: job.prompt, headers: job.headers, maxRetries: 2, maxOutputTokens: 64 };
  if (job.tools) Object.assign(ask, { tools: { weather }, stopWhen: isStepCount(3) });
  if (job.scenario === "structured") ask.output = Output.object({ schema: jsonSchema(PERSON) });
  if (!job.streamed) {
    const done = await generateText(ask);
    await summarise(seen, done);
    if (job.scenario === "structured") seen.result.output = done.output;
    return;
  }
  const closed = new AbortController();
  const stream = streamText({ ...ask, abortSignal: closed.signal, onError: () => {} });
  let failure = null;
  await read(job, seen, stream.fullStream, (part) => {
    if (part.type === "error") failure = part.error;
  });
  if (job.scenario === "early_close") closed.abort();
  else if (failure) throw failure;
  else await summarise(seen, stream);
}

await serve({
  chat: (job, seen) => run(job, seen, openai.chat(job.model)),
  responses: (job, seen) => run(job, seen, openai.responses(job.model)),
  messages: (job, seen) => run(job, seen, anthropic(job.model)),
  async embeddings(job, seen) {
    const model = openai.embedding(job.model);
    const done = await embedMany({ model, values: [job.prompt, "and another"], headers: job.headers });
    seen.result = { embeddings: done.embeddings, usage: done.usage };
    seen.count(done.usage.tokens, 0);
  },
});
