// What stands around BertViz's drawing code, which is put in at __DRAWING__ (see
// bertviz_script.py, which also lists where it calls the functions below).
(() => {
  const id = "__ID__";
  const data = __DATA__;
  const control = kind => document.querySelector(`#${id} .bv-${kind}`);

  // Weights come as whole numbers, in units of the last decimal kept.
  const numbers = x => Array.isArray(x) ? x.map(numbers) : x / data.unit;

  // The weights from some tokens to some others, as BertViz takes them.
  const part = (rows, columns) => ({
    attn: data.weights.map(layer => layer.map(
      head => numbers(head.slice(...rows).map(row => row.slice(...columns))))),
    left_text: data.tokens.slice(...rows),
    right_text: data.tokens.slice(...columns),
    queries: data.queries && numbers(data.queries),
    keys: data.keys && numbers(data.keys),
  });

  const parameters = () => {
    const all = [0], first = [0, data.second_start], second = [data.second_start];
    const pairs = [[all, all]];
    if (data.second_start) {
      pairs.push([first, first], [second, second], [first, second], [second, first]);
    }
    return {
      attention: pairs.map(([rows, columns]) => part(rows, columns)),
      default_filter: "0",
      root_div_id: id,
      layer: data.layer,
      head: data.head,
      heads: data.heads,
      include_layers: data.weights.map((_, layer) => layer),
      include_heads: data.weights[0].map((_, head) => head),
      total_heads: data.weights[0].length,
      display_mode: "light",
      bidirectional: true,
    };
  };

  const offer = (kind, entries) => entries.forEach(
    ([value, text]) => control(kind).append(new Option(text, value)));

  // A wide drawing shrinks a little to fit its card; narrower cards scroll it.
  const fit = (svg, height) => svg
    .attr("viewBox", `0 0 ${data.width} ${height}`).style("display", "block")
    .style("width", "100%").style("max-width", `${data.width}px`)
    .style("min-width", `${0.8 * data.width}px`);

  // Head view: a coloured square is a check box for the keyboard and for screen readers too.
  const asCheckBoxes = squares => squares
    .attr("tabindex", 0).attr("role", "checkbox").attr("aria-label", (_, head) => `head ${head}`)
    .each(function () {
      this.addEventListener("keydown", event => {
        const kind = {" ": "click", Enter: "dblclick"}[event.key];
        if (!kind) return;
        event.preventDefault();
        this.dispatchEvent(new MouseEvent(kind));
      });
    });

  // Model view: the select enlarges a picture as a click does, and shows which one is large.
  const enlarged = config => config.detail_layer == null
    ? "" : `${config.detail_layer}-${config.detail_head}`;
  const showEnlarged = config => { control("detail").value = enlarged(config); };
  const asPicture = (region, layer, head) => region.classed(`bv-picture-${layer}-${head}`, true);
  const offerPictures = config => {
    offer("detail", config.layers.flatMap(
      layer => config.heads.map(head => [`${layer}-${head}`, `${layer}, ${head}`])));
    control("detail").addEventListener("change", event => {
      const [now, wanted] = [enlarged(config), event.target.value];
      if (now !== wanted) config.svg.select(`.bv-picture-${wanted || now}`).dispatch("click");
    });
  };
  const closesOnClick = config => config.svg.selectAll("rect.detail, text.detail")
    .style("cursor", "pointer")
    .on("click", () => {
      control("detail").value = "";
      control("detail").dispatchEvent(new Event("change"));
    });

  // Neuron view: the token and the way of showing it can be chosen without a mouse.
  const largest = data.largest; // some of BertViz's functions have a `data` of their own
  const shade = (value, most) => Math.sqrt(Math.abs(value) / most);
  const offerTokens = (config, render) => {
    config.expanded = true;
    config.index = 0;
    offer("token", data.tokens.map((token, index) => [index, token]));
    control("token").addEventListener("change", event => {
      config.index = Number(event.target.value);
      render();
    });
    control("steps").addEventListener("change", event => {
      config.expanded = event.target.value === "steps";
      config.index = config.expanded ? Number(control("token").value) : null;
      render();
    });
  };
  const chooseSteps = value => {
    control("steps").value = value;
    control("steps").dispatchEvent(new Event("change"));
  };
  const showToken = index => { control("token").value = index; };

  const draw = ($, d3) => {
    const params = parameters();
    __DRAWING__
  };

  // The libraries: once a page, through RequireJS where the page has it.
  const addresses = {jquery: "__JQUERY__", d3: "__D3__"};
  const libraries = () => new Promise((done, failed) => {
    if (typeof define === "function" && define.amd) {
      const paths = Object.fromEntries(
        Object.entries(addresses).map(([name, address]) => [name, address.replace(/\.js$/, "")]));
      const require = requirejs.config({context: "attention-views", paths});
      require(["jquery", "d3"], (...both) => done(both), failed);
      return;
    }
    const loaded = window.attentionViewLibraries ||= {};
    const load = (name, take) => loaded[name] ||= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = addresses[name];
      script.onload = () => done(take());
      script.onerror = failed;
      document.head.append(script);
    });
    const jquery = load("jquery", () => window.jQuery.noConflict(true));
    Promise.all([jquery, load("d3", () => window.d3)]).then(done, failed);
  });

  // An output may run before it stands in the page.
  const placed = (tries = 100) => new Promise(done => {
    const look = () => document.getElementById(id) || !tries-- ? done() : setTimeout(look, 50);
    look();
  });

  placed().then(() => {
    if (/^zh/.test(document.documentElement.lang)) {
      document.querySelectorAll(`#${id} [data-zh]`).forEach(
        element => { element.textContent = element.dataset.zh; });
    }
    return libraries();
  }).then(both => draw(...both), () => {
    control("vis").textContent =
      `The live view needs ${Object.values(addresses).join(" and ")}, which could not be loaded.`;
  });
})();
