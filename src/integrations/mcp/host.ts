import { MissingPackageError } from '../../core/errors.ts';

/** The parts of the MCP SDK that are used. @throws MissingPackageError */
export async function loadSdk() {
  try {
    const [{ Client }, { StdioClientTransport }, { StreamableHTTPClientTransport }, types] =
      await Promise.all([
        import('@modelcontextprotocol/sdk/client/index.js'),
        import('@modelcontextprotocol/sdk/client/stdio.js'),
        import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
        import('@modelcontextprotocol/sdk/types.js'),
      ]);
    return { Client, StdioClientTransport, StreamableHTTPClientTransport, types };
  } catch (error) {
    throw new MissingPackageError('@modelcontextprotocol/sdk', 'holdfast/mcp', error);
  }
}

export type Sdk = Awaited<ReturnType<typeof loadSdk>>;
