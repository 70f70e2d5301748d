/** A cluster that runs, and is ready. */
export interface Cluster {
  /** The path of a kubeconfig of one who may do everything. */
  kubeconfig: string;
  /** The URL of its API server. */
  api: string;
  /** Where its names are answered, over UDP and TCP. */
  dns: { host: string; port: number };
  /** Those that its StatefulSets have. */
  names: string[];
  /** Where every name and address is reached, with the argument `--socks`. */
  socks: string | null;
  /** Ends it, and waits until it has. It may be called again. */
  stop(): Promise<void>;
}

export interface Options {
  /** Files, or folders of them, to apply before the cluster is ready; without any it is empty. */
  manifests?: string[];
  /** Further arguments of `headless-dns sandbox`, such as `--start-delay=1s`, or `--run`. */
  args?: string[];
  /** What becomes of what the cluster says of itself. */
  output?: "ignore" | "inherit";
}

/** Starts a cluster, and waits until it is ready. */
export function startCluster(options?: Options): Promise<Cluster>;

/** The path of the program: what $HEADLESS_DNS names, this package's own, or the one of $PATH. */
export function program(): string;
