#!/usr/bin/env python3
"""Records what the commands below print, and writes it as a picture that plays: docs/pictures/sandbox.svg.

    record.py FOLDER        where headless-dns and kubectl are

Needs `dig`, and port 1053. Each command runs for real, in one shell; its lines appear as they came."""
import html, os, pathlib, signal, subprocess, sys, threading, time

COMMANDS = [
    "headless-dns sandbox --kubeconfig /tmp/sandbox.kubeconfig &",
    "export KUBECONFIG=/tmp/sandbox.kubeconfig",
    "dig @127.0.0.1 -p 1053 +short redis-1.redis.default.svc.cluster.local",
    "kubectl delete pod redis-1",
    "dig @127.0.0.1 -p 1053 +short redis-1.redis.default.svc.cluster.local",
    "dig @127.0.0.1 -p 1053 redis-7.redis.default.svc.cluster.local | grep -e status -e EDE",
]
# Seconds for a reader: to see a command typed, to read what it printed, before it all begins again.
TYPED, READ, PAUSE = 0.9, 1.6, 6
SIZE, LINE, WIDTH = 14, 19, 104
STYLE = """
svg { background: #1b1f27; border-radius: 6px }
text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #d5dae3; white-space: pre; opacity: 0 }
.command { fill: #8fd18f }
"""


def record(folder):
    """The lines with the seconds at which they appear: (seconds, whether it is a command, text)."""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HEADLESS_DNS_LOG": "warn"}
    shell = subprocess.Popen(
        ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
        env=environment, cwd=pathlib.Path(__file__).resolve().parents[2], start_new_session=True,
    )
    lines, began, slack = [], time.monotonic(), 0.0
    quiet = [time.monotonic()]

    def read():
        for line in shell.stdout:
            quiet[0] = time.monotonic()
            lines.append((quiet[0] - began + slack, False, line.rstrip("\n")))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for command in COMMANDS:
        lines.append((time.monotonic() - began + slack, True, f"$ {command}"))
        slack += TYPED
        quiet[0] = time.monotonic()
        shell.stdin.write(command + "\n")
        shell.stdin.flush()
        # A command is over when nothing has come for a second.
        while time.monotonic() - quiet[0] < 1:
            time.sleep(0.05)
        slack += READ - 1
    os.killpg(shell.pid, signal.SIGTERM)
    reader.join()
    return lines


def picture(lines):
    whole = lines[-1][0] + PAUSE
    rows, styles = [], []
    for at, (seconds, is_command, text) in enumerate(lines):
        share = 100 * seconds / whole
        styles.append(f"@keyframes k{at} {{ 0%, {share:.2f}% {{ opacity: 0 }} {share + 0.01:.2f}%, 100% {{ opacity: 1 }} }}")
        y = (at + 1) * LINE + 6
        kind = ' class="command"' if is_command else ""
        style = f"animation: k{at} {whole:.1f}s infinite"
        rows.append(f'<text x="14" y="{y}"{kind} style="{style}">{html.escape(text[:WIDTH])}</text>')
    width, height = WIDTH * SIZE * 0.602 + 28, len(lines) * LINE + 24
    css = STYLE + "\n".join(styles)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}">\n'
        f"<title>The sandbox: a Pod is deleted, and its name follows it</title>\n<style>{css}\n</style>\n"
        f'<rect width="100%" height="100%" rx="6" fill="#1b1f27"/>\n' + "\n".join(rows) + "\n</svg>\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(__file__).with_name("sandbox.svg")
    out.write_text(picture(record(os.path.abspath(sys.argv[1]))))
    print(out)
