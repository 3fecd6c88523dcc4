// Puts every question to a client and prints what came of them as one JSON object:
//
//     node report.mjs openai.mjs http://127.0.0.1:8000/v1
//
// With names of questions after that, it puts only those. Which answers are right is for test_node_clients.py to say.

const [client, baseURL, ...wanted] = process.argv.slice(2);

/** What a user's `catch` gets to see. */
function describe(error) {
  const status = error.status ?? error.statusCode;
  return { threw: error.constructor.name, message: error.message, status, code: error.code, param: error.param };
}

const report = {};
for (const [name, ask] of Object.entries(await import(`./${client}`))) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  report[name] = await ask(baseURL).catch(describe);
}
console.log(JSON.stringify(report));
