require("./does-not-exist");
