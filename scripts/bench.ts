/** `npm run bench -- NAME …` and `npm run drill -- NAME …`: see `bench/harness/main.ts`. */
import { type Kind, main } from '../bench/harness/main.ts';

const [kind, ...argv] = process.argv.slice(2);
process.exitCode = await main(kind as Kind, argv);
