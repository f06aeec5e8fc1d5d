package parquet_test

import (
	"fmt"
	"log"

	"github.com/bdia-go/bdia/data"
	_ "github.com/bdia-go/bdia/data/parquet"
)

func Example() {
	src, err := data.Open("testdata/duckdb-groups.parquet", data.SourceOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(src.Files[0].Documents, "documents")
	// Output: 3000 documents
}
