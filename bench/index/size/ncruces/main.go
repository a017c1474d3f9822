// Command ncruces is a small program with ncruces/go-sqlite3, to see what that adds to a binary.
package main

import (
	"fmt"
	"net/http"

	"github.com/ncruces/go-sqlite3"
)

func main() {
	fmt.Println(http.ListenAndServe("", nil), any(sqlite3.Open))
}
