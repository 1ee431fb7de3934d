import { environmentOf, startMoto } from "./moto";
import { inventory, type Inventory } from "./inventory";
import { startProxy, type AwsProxy, type ProxyOptions } from "./proxy";

/** An AWS for one test: an emulator, and before it a proxy that keeps the log and does harm. */
export interface AwsWorld {
  readonly proxy: AwsProxy;
  /** For processes whose calls are written down, and befallen by faults. */
  readonly environment: Readonly<Record<string, string>>;
  /** The emulator itself, beside the proxy. */
  readonly direct: string;
  inventory(): Promise<Inventory>;
  close(): Promise<void>;
}

export async function startAws(options: ProxyOptions = {}): Promise<AwsWorld> {
  const moto = await startMoto({ publicImages: false });
  try {
    const proxy = await startProxy(moto.endpoint, options);
    return {
      proxy,
      environment: environmentOf(proxy.endpoint),
      direct: moto.endpoint,
      inventory: () => inventory(moto.endpoint),
      close: async () => {
        await proxy.close();
        await moto.stop();
      },
    };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}
