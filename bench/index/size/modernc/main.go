// Command modernc is a small program with modernc.org/sqlite, to see what that adds to a binary.
package main

import (
	"fmt"
	"net/http"

	"modernc.org/sqlite"
)

func main() {
	fmt.Println(http.ListenAndServe("", nil), any(new(sqlite.Driver).Open))
}
