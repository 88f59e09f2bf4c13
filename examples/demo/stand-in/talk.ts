/** What the stand-in says of itself: it has no knowledge, and these few texts are all it can say by heart. */
import type { OfferedTool } from "./request.ts";
import type { Task } from "./resume.ts";
import { listed, sentencesOf, shortened, subjectOf } from "./words.ts";

const CAN: Readonly<Record<string, string>> = {
  list_files: "list files (“List the files in src”)",
  read_file: "read a file (“What does package.json say the license is?”)",
  search_files: "search files (“Which files mention abort?”)",
  calculate: "calculate (“What is (17 + 4) * 3?”)",
  current_time: "tell the time (“What time is it in Tokyo?”)",
  survey: "survey the project, which takes a while (“Survey this project”)",
};

const WHO =
  "I am a small stand-in that runs on this machine, not a language model, and I know nothing by myself.";

/** What to say where no tool fits: plainly that, and what would work. */
export function needsTools(tools: readonly OfferedTool[], missing: readonly string[]): string {
  const why =
    missing.length > 0
      ? `For this I would need ${listed(missing.map((name) => `\`${name}\``))}, which I was not given.`
      : "I found no tool that fits this question.";
  return `${WHO} ${why} ${abilities(tools)}`;
}

function introduction(tools: readonly OfferedTool[]): string {
  return `Hello. ${WHO} ${abilities(tools)}`;
}

function abilities(tools: readonly OfferedTool[]): string {
  const offers = tools.map(
    ({ name, description }) => CAN[name] ?? `call \`${name}\`: ${shortened(description, 80)}`,
  );
  const can =
    offers.length > 0
      ? `What I can do with the tools at hand:\n${offers.map((offer) => `- ${offer}`).join("\n")}`
      : "This request offers me no tools, so all I can do is talk about myself (“Tell me a long story”).";
  return `${can}\n\nSet OPENAI_API_KEY to talk to a real model.`;
}

/** Answers that need no tool because the conversation itself holds them. */
export function smallTalk({ question, earlier }: Task, tools: readonly OfferedTool[]): string | undefined {
  const asked = earlier.map((round) => round.question);
  if (/\bmy name\b/i.test(question) && /\bwhat\b|\bremember\b|\bknow\b|\?/i.test(question)) {
    const name = asked.map(nameIn).findLast(Boolean);
    return name
      ? `You told me that your name is ${name}.`
      : "You have not told me your name in this conversation.";
  }
  const name = nameIn(question);
  if (name) return `Hello, ${name}. I can remember that as long as you send me our conversation.`;
  if (
    /\b(?:did|have) i (?:just )?(?:ask|say|said|asked)\b|\bmy (?:first|last|previous) question\b/i.test(
      question,
    )
  ) {
    const which = /\bfirst\b/i.test(question) ? asked[0] : asked.at(-1);
    return which ? `You asked: “${which}”` : "This is the first thing that you have asked.";
  }
  if (
    /^\W*(?:hi|hello|hey|good (?:morning|day|evening)|who are you|what are you|what can you do|help)\b/i.test(
      question,
    )
  ) {
    return introduction(tools);
  }
  if (/^\W*(?:thanks?|thank you)\b/i.test(question)) return "You are welcome.";
  if (/^\W*summari[sz]e\b/i.test(question)) return summaryOf(question);
  return undefined;
}

/** A long text to stop in the middle; it invents nothing, for it is about the stand-in itself. */
export function storyFor(question: string): string | undefined {
  return /\b(?:story|tale|essay|poem|long (?:text|answer))\b/i.test(question) ? STORY : undefined;
}

function nameIn(text: string): string | undefined {
  return text.match(/\b(?:my name is|i am called|call me)\s+(\p{Lu}[\p{L}-]*)/iu)?.[1];
}

function summaryOf(question: string): string | undefined {
  const sentences = sentencesOf(subjectOf(question));
  const [first] = sentences;
  if (!first || !question.includes(":")) return undefined;
  const rest = sentences.length > 1 ? ` (the first of ${sentences.length} sentences)` : "";
  return `I cannot really summarise, being only a stand-in, but the text begins like this${rest}: ${first}`;
}

const STORY = `Once there was a small program that had to stand in for a large language model. It lived on the loopback interface, at a port that nobody had chosen, and it had never read a book.

People asked it questions. It could not answer one of them by itself, and it had promised never to make anything up. But it had been given tools, and so it did what it could: it looked at the question, found the tool that fitted, asked for it, and waited until the result came back.

Some days it was asked to add numbers, and it sent them to a calculator. Some days it was asked for the time in a city that it had never seen, and it sent for a clock. Once it was asked to survey a whole project. That took long, and the little program learned to wait while others did the counting.

What it feared a little, at first, was to be interrupted. Somebody would press two keys in the middle of a sentence, the connection would close, and the words that had not been sent yet would never be read. But each time it found that what had been said was kept, with a short note at the end that told where it had been cut off and why.

So it lost its fear. When somebody wrote "Continue", it read the conversation, found the note, looked for the last words that had arrived, and went on from there, as if it had only paused for breath. Nothing was said twice, and nothing was lost.

That is the whole story. It was long only because it was told slowly, a word at a time, so that there would be time enough to stop it.`;
