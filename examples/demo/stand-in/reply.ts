/** Decides what to say next: more tool calls, or the answer from what the tools have given. */
import { answerFrom } from "./answers.ts";
import { wishOfAnotherTool } from "./other-tools.ts";
import { type Wish, wishesOf } from "./questions.ts";
import type { ChatRequest } from "./request.ts";
import { remainderOf, type Task, taskOf } from "./resume.ts";
import { jsonAnswer } from "./schema-answer.ts";
import { needsTools, smallTalk, storyFor } from "./talk.ts";

export type Reply =
  | { readonly calls: readonly Wish[] }
  /** `slowness` stretches the pause between two deltas. */
  | { readonly text: string; readonly slowness?: number };

/** How much slower a story is told than an answer, so that there is time to stop it. */
const STORY_SLOWNESS = 3;

export function reply(chat: ChatRequest): Reply {
  const task = taskOf(chat.rounds);
  if (task === "nothing to continue") {
    return {
      text: "I see no answer of mine that was cut off, so there is nothing to continue. Ask me something.",
    };
  }
  const story = storyFor(task.question);
  if (story && !chat.format) {
    return { text: task.opening + remainderOf(story, task.told), slowness: STORY_SLOWNESS };
  }
  const wishes = wanted(task, chat);
  const calls = wishes.filter((wish) => offered(wish, chat) && !made(wish, task));
  if (calls.length > 0) return { calls };
  if (chat.format) return { text: JSON.stringify(jsonAnswer(task, chat.format.schema)) };
  return { text: task.opening + remainderOf(prose(task, wishes, chat), task.told) };
}

function wanted(task: Task, chat: ChatRequest): readonly Wish[] {
  const known = wishesOf(task);
  if (known.length > 0) return known;
  if (smallTalk(task, chat.tools) !== undefined) return [];
  const other = wishOfAnotherTool(task, chat.tools);
  return other ? [other] : [];
}

function prose(task: Task, wishes: readonly Wish[], chat: ChatRequest): string {
  if (task.exchanges.length > 0) return answerFrom(task);
  const missing = wishes.filter((wish) => !offered(wish, chat)).map(({ tool }) => tool);
  return (missing.length === 0 && smallTalk(task, chat.tools)) || needsTools(chat.tools, missing);
}

function offered(wish: Wish, chat: ChatRequest): boolean {
  return chat.tools.some(({ name }) => name === wish.tool);
}

/** A call is made once for a question, whatever came of it: the stand-in never loops. */
function made(wish: Wish, task: Task): boolean {
  return task.exchanges.some(
    ({ tool, input }) => tool === wish.tool && JSON.stringify(input) === JSON.stringify(wish.input),
  );
}
