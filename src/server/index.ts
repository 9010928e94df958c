export { type App, type AppOptions, createApp, type ServerLogger } from './app.ts';
export { type RunningServer, type ServerOptions, startServer } from './listen.ts';
