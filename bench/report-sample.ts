/** The typed answer of the object scenario, and one that fits it. */
import { z } from "zod";

export const Report = z.object({
  title: z.string(),
  summary: z.string(),
  score: z.number(),
  findings: z.array(
    z.object({
      claim: z.string(),
      confidence: z.enum(["low", "medium", "high"]),
      sources: z.array(z.string()),
    }),
  ),
});

export type Report = z.infer<typeof Report>;

export const report: Report = {
  title: "Why the night trains came back",
  summary: "Demand rose after 2020; three operators ordered new sleeper cars, and the track fees fell.",
  score: 0.82,
  findings: [
    { claim: "Bookings doubled within four years.", confidence: "high", sources: ["a12", "b7", "c3"] },
    { claim: "Fees fell by a third.", confidence: "medium", sources: ["d4"] },
    { claim: "Prices stayed level.", confidence: "low", sources: ["e5", "f6"] },
    { claim: "Most riders are under forty.", confidence: "medium", sources: [] },
  ],
};
