/** The program of a worker process: it takes runs up until it is killed, or its parent is gone. */
import { startWorker } from "../src/index.ts";
import { openPlace, type Place } from "./place.ts";
import { makeSurvey } from "./survey.ts";

const place = JSON.parse(process.argv[2] ?? "") as Place;
process.on("disconnect", () => process.exit());
const { store, queue } = await openPlace(place);
const survey = makeSurvey(place.modelUrl, place.diary);
await startWorker({
  functions: [survey],
  store,
  ...(queue === undefined ? {} : { queue }),
  concurrency: 10,
  reconcileMs: 5000,
});
process.send?.("ready");
