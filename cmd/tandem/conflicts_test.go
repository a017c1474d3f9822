package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func keptFile(id, path string, reason farm.Reason) control.Conflict {
	return control.Conflict{
		ID: id, Folder: "shop", Path: path, Reason: reason, Time: time.Now().Add(-49 * time.Hour), Members: []farm.MemberID{"web2"},
		Type: "file", Size: 2048, Mode: "0644", Owner: "www-data:www-data", Digest: "beef",
		Written: &control.Write{Version: farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 1}, Seq: 2}, Member: "web1", Time: time.Unix(1_800_000_000, 0)},
	}
}

func (d *daemon) Conflicts(_ context.Context, q control.ConflictQuery) (control.Conflicts, error) {
	all := []control.Conflict{
		keptFile("k3v9qabcde", "img/7.jpg", farm.ReasonDeleted), keptFile("k3v9qfghij", "a.php", farm.ReasonConflict),
	}
	switch {
	case q.Path == "none":
		return control.Conflicts{List: []control.Conflict{}}, nil
	case len(q.IDs) == 1 && q.IDs[0] == "k3v9qa":
		return control.Conflicts{List: all[:1], Count: 1}, nil
	case len(q.IDs) > 0:
		return control.Conflicts{}, farm.Errorf("find preserved", q.IDs[0], farm.NotFound, "no linked member has a preserved file with this id")
	}
	return control.Conflicts{List: all, Count: 300, More: true, Silent: []control.Silent{{Member: "web3", Reason: "it is not linked"}}}, nil
}

func (d *daemon) DiffConflict(_ context.Context, req control.DiffRequest) (control.ConflictDiff, error) {
	k := keptFile(req.ID, "a.php", farm.ReasonConflict)
	switch req.Path {
	case "same":
		return control.ConflictDiff{Preserved: k, Path: "same", Same: true}, nil
	case "binary":
		return control.ConflictDiff{Preserved: k, Path: "binary", Type: "file", Size: 9, Digest: "cafe", Why: "not text"}, nil
	}
	return control.ConflictDiff{Preserved: k, Path: "a.php", Type: "file", Text: "--- preserved\n+++ current\n@@ -1 +1 @@\n-a\n+b\n"}, nil
}

func (d *daemon) RestoreConflicts(_ context.Context, req control.RestoreRequest, progress func(int, int)) (control.RestoreResult, error) {
	if req.Force {
		return control.RestoreResult{Count: 1, Restored: 1, List: []control.Restored{{ID: "k3v9qabcde", Path: "a.php", From: "web2"}}}, nil
	}
	progress(1, 2)
	fault := control.ErrorOf(&farm.Error{Op: "restore", Path: "a.php", Kind: farm.Exists, Err: farm.Errorf("", "", farm.Exists, "another file is there now").Err})
	return control.RestoreResult{Count: 2, Restored: 1, Failed: 1, List: []control.Restored{
		{ID: "k3v9qfghij", Path: "a.php", From: "web2", Error: fault}, {ID: "k3v9qabcde", Path: "img/7.jpg", From: "web2"},
	}}, nil
}

func (d *daemon) DropConflicts(_ context.Context, q control.ConflictQuery) (control.Dropped, error) {
	return control.Dropped{Count: 2, Bytes: 4096}, nil
}

func TestConflictCommands(t *testing.T) {
	socket, _ := serveDaemon(t, &daemon{status: wellStatus()})
	for _, c := range []struct {
		args        string
		code        int
		out, errOut string
	}{
		{"conflicts list", 0, "k3v9qf  2 d 1 h  conflict  2.0 KiB  web2     web1        shop    a.php\nat least 300 match; ", "tandem: web3 could not be asked: it is not linked\n"},
		{"conflicts list --path none", 0, "nothing is preserved that matches\n", ""},
		{"conflicts list --path none --json", 0, `"list": []`, ""},
		{"conflicts show k3v9qa", 0, "why        deleted: it was deleted on another member\nkept by    web2, for 2 d 1 h\nwritten    by web1, 2027-01-15T08:00:00Z", ""},
		{"conflicts show k3v9qa --json", 0, `"id": "k3v9qabcde"`, ""},
		{"conflicts show zz", 3, "", "tandem: find preserved zz: no linked member has a preserved file with this id\n"},
		{"conflicts diff k3v9", 0, "@@ -1 +1 @@\n-a\n+b\n", ""},
		{"conflicts diff k3v9 same", 0, "the preserved file and same have the same content\n", ""},
		{"conflicts diff k3v9 binary", 0, "not compared line by line: not text\npreserved  file, 2,048 bytes, digest beef\ncurrent    file, 9 bytes, digest cafe\n", ""},
		{"conflicts restore k3v9 k3v8", 4, "k3v9qabcde  img/7.jpg restored, from web2\n", "tandem: restore a.php: another file is there now\n"},
		{"conflicts restore k3v9 --force", 0, "a.php restored, from web2\n", ""},
		{"conflicts restore k3v9 --force --json", 0, `"restored": 1`, ""},
		{"conflicts restore", 2, "", "which files? name ids"},
		{"conflicts drop k3v9qa", 5, "img/7.jpg\n", "1 file would be removed for good; nothing is yet (say --yes to do it)\n"},
		{"conflicts drop --all --path x --yes", 0, "2 files removed, 4.0 KiB\n", "web3"},
		{"conflicts drop --path x --yes", 2, "", "which files?"},
		{"conflicts drop k3v9 --all", 2, "", "not both"},
	} {
		a, stdout, stderr := quietApp()
		code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket))
		if code != c.code || !strings.Contains(stdout.String(), c.out) || c.errOut != "web3" && !strings.Contains(stderr.String(), c.errOut) ||
			c.errOut == "" && stderr.Len() > 0 {
			t.Errorf("%s ends with %d and says\n%s\nand\n%s", c.args, code, stdout, stderr)
		}
	}
}

func TestShortIDs(t *testing.T) {
	list := []control.Conflict{{ID: "abcdeaaaaa"}, {ID: "abcdebbbbb"}, {ID: "20260101T000001.000000000-0001"}}
	if s := strings.Join(shortIDs(list), " "); s != "abcdea abcdeb 20260101T000001.000000000-0001" {
		t.Errorf("shortened to %s", s)
	}
}

func TestSinceDays(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	if at, err := sinceTime("2d", now); err != nil || !at.Equal(now.Add(-48*time.Hour)) {
		t.Errorf("2d is %v, %v", at, err)
	}
}
