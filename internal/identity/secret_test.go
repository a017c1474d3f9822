package identity

import (
	"bytes"
	"testing"
	"time"

	"tandem/internal/farm"
)

func TestSecrets(t *testing.T) {
	id, err := CreateFarm(t.TempDir(), "web1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := CreateFarm(t.TempDir(), "web1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := id.Seal("db", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := id.Seal("db", "s3cret"); again == sealed {
		t.Error("two seals of one value are the same")
	}
	if got, err := id.Unseal("db", sealed); err != nil || got != "s3cret" {
		t.Errorf("opened: %q, %v", got, err)
	}
	for name, try := range map[string]func() (string, error){
		"another name":  func() (string, error) { return id.Unseal("api", sealed) },
		"another farm":  func() (string, error) { return other.Unseal("db", sealed) },
		"changed":       func() (string, error) { return id.Unseal("db", "A"+sealed[1:]+"A") },
		"cut off":       func() (string, error) { return id.Unseal("db", sealed[:8]) },
		"nothing there": func() (string, error) { return id.Unseal("db", "") },
	} {
		if got, err := try(); farm.KindOf(err) != farm.Corrupt || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	id.caKey = nil
	if _, err := id.Unseal("db", sealed); farm.KindOf(err) != farm.Denied {
		t.Errorf("without authority: %v", err)
	}
}

func TestVisitKey(t *testing.T) {
	id, err := CreateFarm(t.TempDir(), "web1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := CreateFarm(t.TempDir(), "web1", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	key := id.VisitKey()
	if len(key) != 32 || !bytes.Equal(key, id.VisitKey()) || bytes.Equal(key, other.VisitKey()) {
		t.Errorf("the key is %x, then %x, another farm's %x", key, id.VisitKey(), other.VisitKey())
	}
	id.caKey = nil
	if key := id.VisitKey(); key != nil {
		t.Errorf("without authority the key is %x", key)
	}
}
