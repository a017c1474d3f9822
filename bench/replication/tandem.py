"""tandem as an engine of the replication benchmark: copy this file into its rb/drivers/ and import it there.

env TANDEM_BIN (default: tandem on PATH). The farm is made and joined beforehand; what is timed is the daemons' start,
the configuration that gives both nodes the folder, seeding, and replication over the farm's mTLS.
"""
import json, os, subprocess, time
from ..driver import Driver, engine


@engine("tandem", watch="auto")
@engine("tandem-inotify", watch="inotify")
class Tandem(Driver):
    IGNORE = [r"^\.tandem$"]

    def bin(self):
        return self.tool("TANDEM_BIN", "tandem")

    def version(self):
        return "tandem " + json.loads(subprocess.check_output([self.bin(), "version", "--json"]))["version"]

    def flags(self, n):
        return ["--config", n.home + "/config", "--state", n.home + "/state", "--socket", n.home + "/sock"]

    def cli(self, n, *args):
        return n.group.run([self.bin(), *args, *self.flags(n)], log=n.home + "/cli.log")

    def prepare(self):
        first = self.nodes[0]
        if os.path.exists(first.home + "/config/member.toml"):
            return
        self.cli(first, "init", "--name", "node0", "--address", first.ip, "--farm", "bench", "--role", "node")
        self.start(0)
        self.ready(first)
        for n in self.nodes[1:]:
            out = n.home + "/token"
            first.group.run(["sh", "-c", " ".join([self.bin(), "invite", "--role", "node", "--json", *self.flags(first)]) + " >" + out],
                            log=first.home + "/cli.log")
            with open(out) as f:
                token = json.load(f)["token"]
            self.cli(n, "join", token, "--name", "node%d" % n.i, "--address", n.ip)
        self.stop(0)
        for n in self.nodes:
            with open(n.home + "/config/member.toml", "a") as f:
                f.write('\n[folder.bench]\npath = "%s"\n' % n.root)
        with open(first.home + "/config/farm.toml", "a") as f:
            f.write('\n[folder.bench]\npath = "%s"\nwatch = "%s"\n' % (first.root, self.opts["watch"]))

    def start(self, i):
        n = self.nodes[i]
        n.group.spawn([self.bin(), "run", *self.flags(n)], log=n.log)

    def status(self, n):
        out = n.home + "/status"
        n.group.run(["sh", "-c", " ".join([self.bin(), "status", "--json", *self.flags(n)]) + " >" + out + " 2>/dev/null || true"],
                    log=n.home + "/cli.log")
        try:
            with open(out) as f:
                return json.load(f)
        except ValueError:
            return None

    def ready(self, n, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            st = self.status(n)
            if st:
                return st
            time.sleep(0.05)
        raise TimeoutError("no status of " + n.name)

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if all(any(f["id"] == "bench" and f["state"] == "Live" and all(p["linked"] for p in f["peers"])
                       for f in self.ready(n)["folders"]) for n in self.nodes):
                return
            time.sleep(0.05)
        raise TimeoutError("the folder is not live everywhere")
