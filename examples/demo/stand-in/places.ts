/** Finds the places in a question about the time, so that `current_time` gets a time zone. */

const MORE_PLACES: Readonly<Record<string, string>> = {
  beijing: "Asia/Shanghai",
  boston: "America/New_York",
  california: "America/Los_Angeles",
  china: "Asia/Shanghai",
  delhi: "Asia/Kolkata",
  france: "Europe/Paris",
  gmt: "UTC",
  germany: "Europe/Berlin",
  hamburg: "Europe/Berlin",
  india: "Asia/Kolkata",
  italy: "Europe/Rome",
  japan: "Asia/Tokyo",
  kolkata: "Asia/Kolkata",
  kyiv: "Europe/Kiev",
  mumbai: "Asia/Kolkata",
  munich: "Europe/Berlin",
  nyc: "America/New_York",
  osaka: "Asia/Tokyo",
  "san francisco": "America/Los_Angeles",
  seattle: "America/Los_Angeles",
  spain: "Europe/Madrid",
  "the uk": "Europe/London",
  utc: "UTC",
  washington: "America/New_York",
};

const ASKS_TIME =
  /\bwhat(?:'s| is)? the (?:time|date)\b|\btime is it\b|\bwhat time\b|\bcurrent (?:time|date)\b|\bthe time (?:now|in)\b|\bo'?clock\b|\bwhat (?:day|date)\b|\btoday'?s date\b|\blocal time\b/i;
const FOLLOW_UP = /^\W*(?:and|what about|how about|or)\b/i;

let zones: ReadonlyMap<string, string> | undefined;

export interface TimeQuestion {
  /** The time zones asked for; empty for here. */
  readonly timeZones: readonly string[];
}

/** Whether a question asks for the time; "and in London?" does after one that did. */
export function timeQuestion(
  question: string,
  lastAskedTime: "after a time" | "else",
): TimeQuestion | undefined {
  const timeZones = zonesIn(question);
  if (ASKS_TIME.test(question)) return { timeZones };
  const follows = lastAskedTime === "after a time" && FOLLOW_UP.test(question) && timeZones.length > 0;
  return follows ? { timeZones } : undefined;
}

/** Known places give their zone; an unknown name with a capital goes to the tool as it is. */
function zonesIn(question: string): string[] {
  const found: string[] = [];
  const iana = question.match(/\b[A-Z][A-Za-z]+\/[A-Z][A-Za-z_/]+\b/g) ?? [];
  found.push(...iana);
  for (const [, places = ""] of question.matchAll(/\b(?:in|for|at|about)\s+([^?.!;:/]+)/gi)) {
    for (const place of places.split(/\s*,\s*|\s+(?:and|or)\s+(?:in\s+)?/)) {
      const zone = zoneOf(place.trim());
      if (zone) found.push(zone);
    }
  }
  return [...new Set(found)];
}

function zoneOf(place: string): string | undefined {
  zones ??= knownZones();
  const words = place
    .replace(/\b(?:right )?now$|\bplease$|\bat the moment$/i, "")
    .trim()
    .split(/\s+/);
  for (let count = Math.min(3, words.length); count > 0; count--) {
    const zone = zones.get(words.slice(0, count).join(" ").toLowerCase());
    if (zone) return zone;
  }
  const name = words.join(" ");
  return /^\p{Lu}\p{L}+(?: \p{Lu}\p{L}+)*$/u.test(name) ? name : undefined;
}

function knownZones(): ReadonlyMap<string, string> {
  const cities = Intl.supportedValuesOf("timeZone").map((zone): [string, string] => [
    zone
      .slice(zone.lastIndexOf("/") + 1)
      .replaceAll("_", " ")
      .toLowerCase(),
    zone,
  ]);
  return new Map([...cities, ...Object.entries(MORE_PLACES)]);
}
