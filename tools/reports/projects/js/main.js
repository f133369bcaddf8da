const { grade } = require("./sample.js");
console.log(grade(9), grade(1));
