#!/usr/bin/env python3
"""How much memory a member takes that has 1,000,000 files: million.py DIRECTORY

Makes 1,000 directories of 1,000 empty files and a farm of one member in DIRECTORY (which must not exist; give it some 2 GB and
as many inodes), and prints VmRSS, VmHWM and RssAnon in MB after the first scan, two minutes later, and after a restart.
env TANDEM_BIN: the program, default tandem on PATH.
"""
import json, os, signal, subprocess, sys, time

TANDEM = os.environ.get("TANDEM_BIN", "tandem")
DIRS, FILES = 1000, 1000
SCAN_SECONDS = 900


def memory(pid):
    with open("/proc/%d/status" % pid) as f:
        return {l.split(":")[0]: int(l.split()[1]) // 1024 for l in f if l.startswith(("VmRSS", "VmHWM", "RssAnon"))}


def cpu(pid):
    with open("/proc/%d/stat" % pid) as f:
        return [int(t) / os.sysconf("SC_CLK_TCK") for t in f.read().rsplit(")", 1)[1].split()[11:13]]


def fill(root):
    for i in range(DIRS):
        d = "%s/%03d" % (root, i)
        os.makedirs(d)
        for j in range(FILES):
            os.close(os.open("%s/page-%06d.html" % (d, j), os.O_CREAT | os.O_WRONLY))


def in_sync(flags):
    r = subprocess.run([TANDEM, "status", "--json", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        folders = json.loads(r.stdout)["folders"]
    except ValueError:  # the daemon does not answer yet
        return False
    return any(f["id"] == "bench" and f["in_sync"] and f["entries"] >= DIRS * (FILES + 1) for f in folders)


def life(name, flags, log, rests):
    start = time.time()
    daemon = subprocess.Popen([TANDEM, "run", *flags], stdout=log, stderr=subprocess.STDOUT)
    try:
        while not in_sync(flags):
            if time.time() - start > SCAN_SECONDS:
                raise SystemExit("not in sync after %d s" % SCAN_SECONDS)
            time.sleep(2)
        print("%s life: in sync after %.0f s" % (name, time.time() - start), memory(daemon.pid), flush=True)
        for seconds in rests:
            time.sleep(seconds)
            print("%s life: %d s later" % (name, seconds), memory(daemon.pid), flush=True)
        print("%s life: CPU user and system %s s" % (name, cpu(daemon.pid)), flush=True)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    work = os.path.abspath(sys.argv[1])
    node, root = work + "/node", work + "/files"
    os.makedirs(node)
    fill(root)
    flags = ["--config", node + "/config", "--state", node + "/state", "--socket", node + "/sock"]
    subprocess.run([TANDEM, "init", "--name", "n0", "--address", "127.0.0.4:9413", "--farm", "x", "--role", "node", *flags],
                   check=True, stdout=subprocess.DEVNULL)
    with open(node + "/config/farm.toml", "a") as f:
        f.write('\n[folder.bench]\npath = "%s"\n' % root)
    with open(node + "/log", "a") as log:
        life("first", flags, log, (30, 90))
        life("second", flags, log, (60,))


main()
