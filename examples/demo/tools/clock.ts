/** The tool that tells the demo's agent the time, here or at a place; it takes zone names and place names. */
import { tool } from "llmethod";
import { z } from "zod";

const Place = z.object({
  timeZone: z
    .string()
    .optional()
    .describe('An IANA time zone such as "Europe/Berlin", or a large city; default: here'),
});

export class Clock {
  @tool({ name: "current_time", description: "Tell the date and time, here or at a place", input: Place })
  currentTime({ timeZone: place }: z.output<typeof Place>) {
    const timeZone = place?.trim() ? zoneOf(place) : Intl.DateTimeFormat().resolvedOptions().timeZone;
    const now = new Date();
    const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short", timeZone });
    return { iso: now.toISOString(), local: format.format(now), timeZone };
  }
}

/** Where people say a country or a city that has no zone of its own name. */
const PLACES: Readonly<Record<string, string>> = {
  beijing: "Asia/Shanghai",
  boston: "America/New_York",
  brazil: "America/Sao_Paulo",
  california: "America/Los_Angeles",
  china: "Asia/Shanghai",
  delhi: "Asia/Kolkata",
  egypt: "Africa/Cairo",
  france: "Europe/Paris",
  germany: "Europe/Berlin",
  hamburg: "Europe/Berlin",
  india: "Asia/Kolkata",
  italy: "Europe/Rome",
  japan: "Asia/Tokyo",
  korea: "Asia/Seoul",
  kyiv: "Europe/Kiev",
  miami: "America/New_York",
  mumbai: "Asia/Kolkata",
  munich: "Europe/Berlin",
  "new york city": "America/New_York",
  nyc: "America/New_York",
  osaka: "Asia/Tokyo",
  "san francisco": "America/Los_Angeles",
  seattle: "America/Los_Angeles",
  spain: "Europe/Madrid",
  uk: "Europe/London",
  "united kingdom": "Europe/London",
  washington: "America/New_York",
};

/** @throws Error where no zone has this name */
function zoneOf(place: string): string {
  const names = [place, ...place.split(",")].map((name) => name.trim().replace(/^the /i, ""));
  for (const name of names) {
    const city = name.toLowerCase();
    const zone = knownZone(name.replaceAll(" ", "_")) ?? PLACES[city] ?? zonesByCity().get(city);
    if (zone !== undefined) return zone;
  }
  throw new Error(
    `I know no time zone for "${place}". Give an IANA name such as "Asia/Tokyo", or a large city near by.`,
  );
}

/** The zone's name as it is written, for any spelling that the platform knows. */
function knownZone(timeZone: string): string | undefined {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

let byCity: ReadonlyMap<string, string> | undefined;

function zonesByCity(): ReadonlyMap<string, string> {
  byCity ??= new Map(
    Intl.supportedValuesOf("timeZone").map((zone) => [
      zone
        .slice(zone.lastIndexOf("/") + 1)
        .replaceAll("_", " ")
        .toLowerCase(),
      zone,
    ]),
  );
  return byCity;
}
