interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Answers all questions of one turn of the event loop by one query. Under load several requests arrive in a turn, and sending a
 * query costs more CPU than answering it (a quarter of an authenticated read, measured). Nothing is cached: whoever asks
 * later is answered by a later query.
 */
export class BatchedRead<Question, Answer> {
  private waiting: Waiting<Question, Answer>[] = [];

  /** `readAll` answers in the order of the questions. */
  constructor(private readonly readAll: (questions: readonly Question[]) => Promise<readonly Answer[]>) {}

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.waiting.push({ question, resolve, reject }) === 1) setImmediate(() => this.answer());
    });
  }

  private answer(): void {
    const batch = this.waiting;
    this.waiting = [];
    this.readAll(batch.map(({ question }) => question)).then(
      (answers) => {
        // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- as many answers as questions
        batch.forEach(({ resolve }, index) => resolve(answers[index]!));
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }
}
