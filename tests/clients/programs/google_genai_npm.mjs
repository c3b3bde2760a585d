// The @google/genai package for Node: `google_genai_npm.mjs BASE_URL`.
import { GoogleGenAI } from "@google/genai";
import { PARAMETERS, PERSON, read, serve } from "./telling.mjs";

function take(seen, answer) {
  for (const candidate of answer.candidates ?? []) {
    seen.finish = candidate.finishReason ?? seen.finish;
    for (const part of candidate.content?.parts ?? []) {
      seen.text += part.text ?? "";
      if (part.functionCall) seen.tool_calls.push([part.functionCall.name, part.functionCall.args]);
    }
  }
  seen.count(answer.usageMetadata?.promptTokenCount, answer.usageMetadata?.candidatesTokenCount);
}

function models(job) {
  const httpOptions = { baseUrl: process.argv[2], apiVersion: "v1beta", headers: job.headers };
  return new GoogleGenAI({ apiKey: "k", httpOptions }).models;
}

await serve({
  async gemini(job, seen) {
    const ask = { model: job.model, contents: job.prompt, config: {} };
    const declaration = { name: "weather", parametersJsonSchema: PARAMETERS };
    if (job.tools) ask.config.tools = [{ functionDeclarations: [declaration] }];
    if (job.scenario === "structured") {
      ask.config = { responseMimeType: "application/json", responseJsonSchema: PERSON };
    }
    if (!job.streamed) {
      const answer = await models(job).generateContent(ask);
      seen.result = answer;
      take(seen, answer);
      return;
    }
    const stream = await models(job).generateContentStream(ask);
    await read(job, seen, stream, (chunk) => take(seen, chunk));
  },
});
